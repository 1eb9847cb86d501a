"""The database cluster's files follow from the plan: members, repositories, applications, memory."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from topology import flows, inventory
from topology.allocate import Plan, allocate
from topology.cli import parser
from topology.load import load
from topology.render import postgresql as pg
from topology.render import render_host
from topology.render.common import TEMPLATES, context_of
from topology.schema import AppsFile

LUWU = Path(__file__).parents[2] / "inventories" / "luwu"
LAB = Path(__file__).parents[2] / "molecule" / "postgresql" / "lab"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return allocate(load(LUWU)[0])


def patroni(plan: Plan, name: str) -> dict[str, Any]:
    return dict(yaml.safe_load(render_host(plan, plan.hosts[name])["etc/patroni/config.yml"]))


def test_members_are_in_three_sites_and_agree_on_each_other(plan: Plan) -> None:
    found = pg.cluster(plan)
    assert found is not None and len(found.members) == 3 == len({m.site for m in found.members})
    rendered = [patroni(plan, m.name) for m in found.members]
    assert len({json.dumps(r["etcd"]["hosts"]) for r in rendered}) == 1
    assert [r["tags"]["nosync"] for r in rendered] == [False, False, True]
    assert len({json.dumps(r["bootstrap"]) for r in rendered}) == 1
    for other in plan.hosts.values():
        if other.managed and other not in found.members:
            assert "etc/patroni/config.yml" not in pg.files(context_of(plan), other)


def test_timing_keeps_the_bar_and_patronis_own_rule() -> None:
    assert pg.TTL <= 20 and pg.TTL >= pg.LOOP_WAIT + 2 * pg.RETRY


def test_nobody_gets_in_without_tls(plan: Plan) -> None:
    lines = patroni(plan, "dc-pg1")["postgresql"]["pg_hba"]
    assert {x.split()[0] for x in lines} == {"local", "hostssl"}
    assert all(x.endswith(" scram-sha-256") for x in lines if x.startswith("hostssl "))
    assert not [x for x in lines if "0.0.0.0" in x or "::/0" in x]


def test_no_password_is_rendered(plan: Plan) -> None:
    found = pg.cluster(plan)
    assert found is not None
    for host in (*found.members, *found.repositories):
        for path, text in pg.files(context_of(plan), host).items():
            if not path.startswith("usr/local/sbin/"):
                assert "password:" not in text and "PASSWORD=" not in text, (host.name, path)


def test_databases_come_with_the_years_of_the_rollout(plan: Plan) -> None:
    apps = plan.district.apps
    assert apps is not None
    names = []
    for year in (2019, 2020, 2021, None):
        changed = AppsFile.model_copy(apps, update={"rollout": year})
        names.append(pg.databases(dataclasses.replace(plan, district=dataclasses.replace(plan.district, apps=changed))))
    assert names[0] == ()
    assert set(names[1]) < set(names[2]) < set(names[3])
    assert len(names[3]) == len(set(names[3])) == len(apps.applications)
    without = tuple(a.model_copy(update={"database": False}) for a in apps.applications)
    none = AppsFile.model_copy(apps, update={"applications": without})
    assert pg.databases(dataclasses.replace(plan, district=dataclasses.replace(plan.district, apps=none))) == ()


@pytest.mark.parametrize("memory", [512, 1024, 4096, 16384, 262144])
def test_settings_stay_within_the_memory(memory: int) -> None:
    mb = {k: int(v.removesuffix("MB")) for k, v in pg.tuned(memory).items()}
    assert mb["shared_buffers"] == memory // 4
    assert mb["work_mem"] >= 1 and mb["maintenance_work_mem"] <= 2048
    assert mb["shared_buffers"] + mb["maintenance_work_mem"] + 2 * mb["work_mem"] * pg.CONNECTIONS <= max(memory, 1024)


def test_memory_comes_from_the_plan(plan: Plan) -> None:
    assert plan.hosts["dc-pg1"].memory_gb == 16
    assert patroni(plan, "dc-pg1")["postgresql"]["parameters"]["shared_buffers"] == "4096MB"
    lab = inventory.plan_of(LAB)
    assert patroni(lab, "dc-pg1")["postgresql"]["parameters"]["shared_buffers"] == f"{pg.LAB_MEMORY_MB // 4}MB"


def test_a_member_asks_the_repository_of_its_own_site_first(plan: Plan) -> None:
    order = {}
    for name in ("dc-pg1", "drc1-pg1", "drc2-pg1"):
        text = render_host(plan, plan.hosts[name])["usr/local/sbin/postgresql-restore-wal"]
        order[name] = next(x for x in text.splitlines() if x.startswith("for repository"))
        assert "@" not in text.replace("$@", "")
    assert order == {
        "dc-pg1": "for repository in 1 2; do", "drc1-pg1": "for repository in 2 1; do",
        "drc2-pg1": "for repository in 1 2; do",
    }  # fmt: skip


def test_certificates_name_the_service_and_only_members_have_etcds_name(plan: Plan) -> None:
    context = context_of(plan)
    member, other = pg.names(context, plan.hosts["dc-pg1"]), pg.names(context, plan.hosts["dc-backup1"])
    assert "DNS:db.luwukab.go.id" in member and "IP:10.129.128.11" in member
    etcd = render_host(plan, plan.hosts["dc-pg1"])["etc/default/etcd"]
    allowed = {x.split("=", 1)[1] for x in etcd.splitlines() if "ALLOWED_HOSTNAME" in x}
    assert len(allowed) == 1 and f"DNS:{allowed.pop()}" in member
    assert not any("etcd" in x for x in other)
    assert pg.names(context, plan.hosts["dc-esxi1"]) == ()


@pytest.mark.parametrize(
    ("source", "target", "service"),
    [
        ("dc.data", "drc1.data", "cluster"), ("drc2.data", "dc.data", "cluster"), ("drc1.data", "drc2.data", "sql"),
        ("dc.data", "dc.server", "backup"), ("dc.server", "dc.data", "backup"), ("drc1.server", "dc.data", "backup"),
        ("drc2.data", "drc1.server", "backup"), ("drc1.app", "dc.data", "sql"), ("dc.app", "dc.data", "sql"),
    ],
)  # fmt: skip
def test_the_policy_lets_the_cluster_talk(plan: Plan, source: str, target: str, service: str) -> None:
    options = parser().parse_args(["flows", str(LUWU), source, target, "--service", service])
    said = "\n".join(flows._answer(plan, options))
    assert "passes:" in said and "stopped:" not in said, said


@pytest.fixture(scope="module")
def member() -> ModuleType:
    path = TEMPLATES / "postgresql" / "postgresql-member"
    loader = SourceFileLoader("postgresql_member", str(path))
    spec = importlib.util.spec_from_loader("postgresql_member", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_servers_copy_of_a_password_is_as_rfc_5803_says(member: ModuleType) -> None:
    # RFC 7677, section 3: user `user`, password `pencil`
    import base64

    kept = member.verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
    assert kept == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    assert member.fits("pencil", kept) and not member.fits("pen", kept) and not member.fits("pencil", None)


def test_passwords_that_are_there_stay(member: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "databases").write_text("# generated\none\ntwo\n")
    monkeypatch.setattr(member, "DATABASES", tmp_path / "databases")
    first = member.made({})
    assert set(first) == {"superuser", "replication", "rewind", "app:one", "app:two"}
    assert all(len(v) >= 24 for v in first.values()) and len(set(first.values())) == len(first)
    (tmp_path / "databases").write_text("one\ntwo\nthree\n")
    second = member.made(first)
    assert {k: second[k] for k in first} == first and set(second) - set(first) == {"app:three"}


def test_shared_settings_that_people_made_stay(member: ModuleType) -> None:
    wanted = {"ttl": 15, "postgresql": {"parameters": {"max_connections": 200}}}
    found = {"ttl": 15, "pause": True, "postgresql": {"parameters": {"max_connections": 100, "mine": 1}}}
    assert member.differing(wanted, found) == ["postgresql.parameters.max_connections"]
    assert member.differing(wanted, wanted | {"pause": True}) == []
