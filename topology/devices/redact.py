"""What a backup may hold: no secret, no time of day. Pure, and the same for the same configuration."""

from __future__ import annotations

import re

MARK = "<redacted>"

_SECRETS = (
    # RouterOS: name=value, quoted or not
    re.compile(
        r"(?P<keep>\b(?:password|authentication-password|encryption-password|wpa-pre-shared-key|wpa2-pre-shared-key|"
        r"passphrase|private-key|preshared-key|pre-shared-key|secret|ipsec-secret|radius-secret|shared-secret|"
        r"private-pre-shared-key|auth-key|supplicant-password|wps-pin|api-key)=)(?P<value>\"(?:[^\"\\]|\\.)*\"|\S+)"
    ),
    # a Cisco-like CLI
    re.compile(r"(?P<keep>^\s*(?:enable|username \S+).*?\b(?:password|secret)\b(?: \d)?) (?P<value>\S+)", re.M),
    re.compile(r"(?P<keep>^\s*(?:password|secret|key|key-string|ppp chap password)(?: \d)?) (?P<value>\S+)\s*$", re.M),
    re.compile(r"(?P<keep>^\s*snmp-server community) (?P<value>\S+)", re.M),
    re.compile(r"(?P<keep>\b(?:auth (?:md5|sha\S*|sha-2 \d+)(?: encrypted)?)) (?P<value>\S+)"),
    re.compile(r"(?P<keep>\bpriv (?:des|3des|aes \d+|aes\d*)(?: encrypted)?) (?P<value>\S+)"),
    re.compile(r"(?P<keep>^\s*(?:radius|tacacs)-server .*?\bkey(?: \d)?) (?P<value>\S+)", re.M),
    re.compile(
        r"(?P<keep>^\s*(?:wpa-psk|pre-shared-key|crypto isakmp key)(?: (?:ascii|hex))?(?: \d)?) (?P<value>\S+)", re.M
    ),
    re.compile(r"(?P<keep>^\s*snmp-server host \S+(?: version \S+)?(?: \w+)?) (?P<value>\S+)\s*$", re.M),
    re.compile(r"(?P<keep>^\s*ntp authentication-key \d+ \S+) (?P<value>\S+)", re.M),
    # airOS
    re.compile(
        r"(?P<keep>^[\w.]*(?:\.password|\.psk|\.passphrase|\.community|\.secret|wep\.\d\.key|\.wpa\.\d\.key|"
        r"\.privatekey|\.ro_community|\.rw_community)=)(?P<value>.+)$",
        re.M,
    ),
    # JSON: ePMP
    re.compile(
        r"(?P<keep>\"[A-Za-z0-9_]*(?:Password|Passphrase|Hash|Community|PresharedKey|WPAKey|AuthenticationKey|"
        r"EncryptionKey|Secret|PSK|SharedKey|PrivateKey)[A-Za-z0-9_]*\"\s*:\s*)(?P<value>\"(?:[^\"\\]|\\.)*\")"
    ),
)
_KEYS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S)
_TIMES = (
    re.compile(r"^# \S+ \d\d:\d\d:\d\d by (RouterOS.*)$", re.M),
    re.compile(r"^# \w{3}/\d\d/\d{4} \d\d:\d\d:\d\d by (RouterOS.*)$", re.M),
)
_DROPPED = re.compile(
    r"^(?:! Last configuration change at .*|! NVRAM config last updated .*|! No configuration change since .*|"
    r"ntp clock-period .*|Building configuration\.\.\..*|Current configuration : \d+ bytes|"
    r"!Time: .*|\s*\"(?:cambiumCfgTimestamp|backupDate|configFileTime)\".*)\n?",
    re.M,
)


def redacted(text: str) -> str:
    """Return a configuration as it is kept: secrets and times taken out, one kind of line end, no blank end."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _KEYS.sub(f"{MARK} private key", text)
    for pattern in _SECRETS:
        text = pattern.sub(_hide, text)
    for pattern in _TIMES:
        text = pattern.sub(r"# by \1", text)
    text = _DROPPED.sub("", text)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n") + "\n"


def _hide(match: re.Match[str]) -> str:
    keep, value = match["keep"], match["value"]
    mark = f'"{MARK}"' if value.startswith('"') else MARK
    return keep + ("" if keep.endswith(("=", ":", ": ")) or keep[-1].isspace() else " ") + mark
