"""What was read of services: DHCP, names, certificates. Pure; a host may answer anything at all."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from topology.drift import dns
from topology.drift.observed import Things

CHAIN = "signed by the authority here"
Reader = Callable[[str], dict[str, Things]]


def split(text: str, mark: str) -> Iterator[tuple[str, str]]:
    """Yield what follows the mark on a line, and the text up to the next such line."""
    for part in f"\n{text}".split(f"\n{mark} ")[1:]:
        name, _, rest = part.partition("\n")
        yield name, rest.strip()


def subnets(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the subnets of a Kea configuration with what they hand out; ValueError when it is none."""
    plain = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("//", "#")))
    (family, whole), *more = json.loads(plain).items()
    if more or family not in ("Dhcp4", "Dhcp6"):
        raise ValueError(f"{family} is no DHCP server")
    key = f"subnet{family[-1]}"
    for holder in (whole, *whole.get("shared-networks", ())):
        for subnet in holder.get(key, ()):
            yield subnet["subnet"], _subnet(subnet, holder)


def _subnet(subnet: Mapping[str, Any], holder: Mapping[str, Any]) -> dict[str, str]:
    options = {o["name"]: o["data"] for o in (*holder.get("option-data", ()), *subnet.get("option-data", ()))}
    reserved = []
    for one in subnet.get("reservations", ()):
        addresses = [one["ip-address"]] if "ip-address" in one else one.get("ip-addresses", [])
        reserved.append(f"{one['hw-address']} {' '.join(addresses)}")
    return {
        "interface": str(subnet.get("interface", holder.get("interface", ""))),
        "pools": ", ".join(sorted(p["pool"] for p in subnet.get("pools", ()))) or "none",
        "reservations": ", ".join(sorted(reserved)) or "none",
        "routers": str(options.get("routers", "none")),
        "names": str(options.get("domain-name-servers", options.get("dns-servers", "none"))),
    }


def _dhcp(text: str) -> dict[str, Things]:
    things: Things = {}
    for path, said in split(text, "server"):
        if said:
            for name, values in subnets(said):
                things[name] = {**values, "server": path.rsplit("/", 1)[1].removesuffix(".conf")}
    return {"dhcp": things}


def _asked(text: str) -> Iterator[tuple[int, str, str, dns.Answer]]:
    """Yield (time on the host, type, thing, answer) of every question that was answered."""
    first, _, rest = text.partition("\n")
    now, asked = int(first), dict[int, tuple[str, str]]()
    for line in rest.splitlines():
        if line.startswith("ask "):
            _, number, kind, thing = line.split(" ", 3)
            asked[int(number)] = kind, thing
    for _, digits in split(rest, "from"):
        for answer in dns.answers(bytes.fromhex(digits)):
            kind, thing = asked[answer.number]
            yield now, kind, thing, answer


def _answers(text: str) -> dict[str, Things]:
    things: Things = {}
    for _, kind, thing, answer in _asked(text):
        data = sorted(value for number, value in answer.records if number == dns.TYPES[kind])
        things[thing] = {"status": answer.status, "data": " ".join(data)}
    return {"answer": things}


def _zones(text: str) -> dict[str, Things]:
    """Read zones as their servers answer for them: serial, and days until the first signature is void."""
    things: Things = {}
    for now, kind, thing, answer in _asked(text):
        serials = [int(value) for number, value in answer.records if number == dns.TYPES[kind]]
        until = [int(value) for number, value in answer.records if number == dns.TYPES["RRSIG"]]
        things[thing] = {
            "status": answer.status, "serial": serials[0] if serials else "none",
            "signatures": (min(until) - now) // 86400 if until else "none",
        }  # fmt: skip
    return {"zone": things}


def _certificates(text: str) -> dict[str, Things]:
    first, _, rest = text.partition("\n")
    now = datetime.datetime.fromtimestamp(int(first), datetime.UTC)
    things: Things = {}
    for path, said in split(rest, "certificate"):
        fields = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        if not fields:
            continue  # it is not there, or it is none
        until = datetime.datetime.strptime(fields["notAfter"], "%b %d %H:%M:%S %Y GMT").replace(tzinfo=datetime.UTC)
        things[path] = {
            "subject": fields["subject"].strip(), "issuer": fields["issuer"].strip(), "days": (until - now).days,
            "key": "matches" if re.search(r"^key matches$", said, re.MULTILINE) else "is another's or not there",
            "chain": CHAIN if re.search(r"^chain holds$", said, re.MULTILINE) else "signed by somebody else",
            "fingerprint": next((v for k, v in fields.items() if k.lower().endswith("fingerprint")), ""),
        }  # fmt: skip
    return {"certificate": things}


READERS: dict[str, tuple[tuple[str, ...], Reader]] = {
    "dhcp": (("dhcp",), _dhcp), "answers": (("answer",), _answers), "zones": (("zone",), _zones),
    "certificates": (("certificate",), _certificates),
}  # fmt: skip
"""Section of the script -> kinds of things read in it, and the reader."""
