"""The built site in a real browser: every page fits phone and desk, no script complains, search works.

Needs Chromium (or Chrome). A page of our own loads the site's pages one after another in a frame, measures
them and posts what it found; nothing but this machine is asked for anything.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from topology import document
from topology.allocate import allocate
from topology.load import load

BROWSER = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
WIDTHS = (360, 1400)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--enable-logging=stderr", "--v=0",
)  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        BROWSER is None, reason="NO BROWSER: the pages were not looked at; install chromium (apt-get install chromium)"
    ),
]

HARNESS = """<!doctype html><meta charset="utf-8"><title>harness</title><body style="margin:0"><script>
(async () => {
  const found = [], waiting = WIDTHS.flatMap(width => PATHS.map(path => [path, width]));
  async function visit(path, width) {
    const frame = document.createElement("iframe"), errors = [], over = [];
    frame.style.cssText = "border:0;height:900px;width:" + width + "px";
    const loaded = new Promise(done => frame.onload = done);
    frame.src = "/" + path;
    document.body.appendChild(frame);
    await loaded;
    const inside = frame.contentWindow, own = inside.console.error;
    inside.addEventListener("error", e => errors.push(String(e.message)));
    inside.console.error = (...all) => { errors.push(all.join(" ")); own.apply(inside.console, all); };
    await new Promise(done => setTimeout(done, 60));
    const root = inside.document.documentElement;
    if (root.scrollWidth > root.clientWidth || inside.document.body.scrollWidth > root.clientWidth) {
      for (const e of inside.document.querySelectorAll(".md-content *")) {
        if (e.getBoundingClientRect().right > root.clientWidth + 1) { over.push(e.tagName + "." + e.className); }
        if (over.length > 3) { break; }
      }
      over.push("page is " + root.scrollWidth + " wide");
    }
    const images = [...inside.document.images].filter(i => !i.naturalWidth).map(i => i.src);
    found.push({ path, width, over, errors, images, title: inside.document.title, lang: root.lang,
                 tables: inside.document.querySelectorAll(".filter__input").length });
    frame.remove();
  }
  async function work() {
    for (let next; (next = waiting.pop());) { await visit(...next); }
  }
  await Promise.all([work(), work(), work(), work()]);
  await fetch("/harness/result", { method: "POST", body: JSON.stringify(found) });
})();
</script>"""

SEARCH = """<!doctype html><meta charset="utf-8"><title>search</title><body style="margin:0"><script>
(async () => {
  const found = [];
  for (const [page, query] of QUERIES) {
    const frame = document.createElement("iframe"), errors = [];
    frame.style.cssText = "border:0;height:900px;width:1400px";
    const loaded = new Promise(done => frame.onload = done);
    frame.src = "/" + page;
    document.body.appendChild(frame);
    await loaded;
    const inside = frame.contentWindow, view = inside.document;
    inside.addEventListener("error", e => errors.push(String(e.message)));
    const field = view.querySelector("input[data-md-component=search-query]");
    field.focus();
    for (const letter of query) {
      field.dispatchEvent(new inside.KeyboardEvent("keydown", { key: letter, bubbles: true }));
      field.value += letter;
      field.dispatchEvent(new inside.InputEvent("input", { data: letter, bubbles: true }));
      field.dispatchEvent(new inside.KeyboardEvent("keyup", { key: letter, bubbles: true }));
      await new Promise(done => setTimeout(done, 15));
    }
    const words = () => view.querySelector(".md-search-result__meta").textContent.trim();
    const before = words();
    let last = "";
    for (let tries = 0; tries < 100; tries++) {  // the answer has come and stays
      await new Promise(done => setTimeout(done, 100));
      if (words() !== before && words() === last) { break; }
      last = words();
    }
    const results = [...view.querySelectorAll(".md-search-result__item")].map(item => ({
      path: new URL(item.querySelector(".md-search-result__link").href).pathname,
      title: item.querySelector("h1, h2").textContent.trim(),
      marked: [...item.querySelectorAll("mark")].map(mark => mark.textContent.toLowerCase()),
    }));
    found.push({ page, query, words: words(), results, errors });
    frame.remove();
  }
  await fetch("/harness/result", { method: "POST", body: JSON.stringify(found) });
})();
</script>"""
QUERIES = (
    ("index.html", "Dinas Kesehatan", "/sites/dinkes.html"),
    ("en/index.html", "Dinas Kesehatan", "/en/sites/dinkes.html"),
    ("sites/belopa.html", "Kantor Bupati", "/sites/kantor-bupati.html"),
    ("en/sites/belopa.html", "Kantor Bupati", "/en/sites/kantor-bupati.html"),
    ("index.html", "kesehatan", "/sites/dinkes.html"),
    ("en/index.html", "kesehatan", "/en/sites/dinkes.html"),
)
"""Page, what is typed there, and the page that must be the first result."""
NOTHING = (("index.html", "tidakadakatanya"), ("en/index.html", "nosuchwordhere"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    district, _, _ = load(Path(__file__).parents[2] / "inventories/luwu")
    out = tmp_path_factory.mktemp("documentation") / "out"
    document.write(allocate(district), out, warnings_text=["a long warning " * 30], revision="test 2026-11-24")
    return document.build(out).parent


class Server(http.server.ThreadingHTTPServer):
    """Serves the site and the harness; keeps what the harness found."""

    result: Any = None

    def __init__(self, site: Path, harness: str) -> None:
        self.harness = harness
        self.arrived = threading.Event()
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))


class Handler(http.server.SimpleHTTPRequestHandler):
    server: Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path != "/harness/":
            super().do_GET()
            return
        text = self.server.harness.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self) -> None:
        self.server.result = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self.server.arrived.set()


@pytest.fixture(scope="module")
def visited(site: Path) -> Iterator[tuple[list[dict[str, Any]], str]]:
    """Return what the browser found on every page, and its console."""
    paths = sorted(str(p.relative_to(site)) for p in site.rglob("*.html"))
    harness = HARNESS.replace("PATHS", json.dumps(paths)).replace("WIDTHS", json.dumps(WIDTHS))
    with served(site, harness) as result:
        yield result(540)


@contextlib.contextmanager
def served(site: Path, harness: str) -> Iterator[Callable[[int], tuple[Any, str]]]:
    """Serve the site on this machine and open the harness in the browser.

    Gives a function that waits so many seconds for what the harness posts; it returns that and the console.
    """
    server = Server(site, harness)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile, tempfile.TemporaryFile("w+") as console:
        command = [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0"]
        address = f"http://127.0.0.1:{server.server_address[1]}/harness/"
        process = subprocess.Popen([*command, address], stdout=subprocess.DEVNULL, stderr=console)

        def result(seconds: int) -> tuple[Any, str]:
            assert server.arrived.wait(seconds), "the browser did not visit all pages in time"
            stop()
            console.seek(0)
            return server.result, console.read()

        def stop() -> None:
            process.terminate()
            process.wait(20)

        try:
            yield result
        finally:
            stop()
            server.shutdown()
            server.server_close()


def test_no_page_is_wider_than_the_screen(visited: tuple[list[dict[str, Any]], str]) -> None:
    found, _ = visited
    assert len(found) > 200
    assert [(x["path"], x["width"], x["over"]) for x in found if x["over"]] == []


def test_no_script_complains(visited: tuple[list[dict[str, Any]], str]) -> None:
    found, console = visited
    assert [(x["path"], x["errors"]) for x in found if x["errors"]] == []
    assert [x["images"] for x in found if x["images"]] == []
    complaints = [line for line in console.splitlines() if "CONSOLE" in line and "favicon" not in line]
    assert complaints == []


def test_titles_languages_and_filters(visited: tuple[list[dict[str, Any]], str]) -> None:
    found, _ = visited
    for page in found:
        assert page["title"] not in ("", "harness")
        assert page["lang"] == ("en" if page["path"].startswith("en/") else "id")
    assert all(x["tables"] for x in found if x["path"].endswith(("devices.html", "links.html", "assets.html")))


def opened(address: str, *flags: str) -> tuple[str, str]:
    """Return the document the browser made of a page, and its console."""
    with tempfile.TemporaryDirectory() as profile:
        command = [str(BROWSER), *FLAGS, *flags, f"--user-data-dir={profile}", "--virtual-time-budget=8000"]
        done = subprocess.run(
            [*command, "--dump-dom", address], capture_output=True, text=True, timeout=60, check=False
        )
    return done.stdout, done.stderr


@pytest.mark.parametrize(("page", "query"), [("index.html", "10.6.0.4"), ("en/sites/index.html", "10.6.0.4")])
def test_search_works_on_a_page_opened_from_disk(site: Path, page: str, query: str) -> None:
    text, console = opened(f"{(site / page).as_uri()}?q={query}")
    assert re.search(r'href="[^"]*sites/[a-z0-9-]+\.html[^"]*" class="md-search-result__link"', text)
    assert [line for line in console.splitlines() if "CONSOLE" in line] == []


@pytest.fixture(scope="module")
def searched(site: Path) -> tuple[dict[tuple[str, str], dict[str, Any]], str]:
    """Return what a search over HTTP showed, by page and query, and the browser's console."""
    asked = [query[:2] for query in (*QUERIES, *NOTHING)]
    with served(site, SEARCH.replace("QUERIES", json.dumps(asked))) as result:
        found, console = result(120)
    return {(x["page"], x["query"]): x for x in found}, console


@pytest.mark.parametrize(("page", "query", "first"), QUERIES)
def test_search_works_on_a_served_page(
    searched: tuple[dict[tuple[str, str], dict[str, Any]], str], page: str, query: str, first: str
) -> None:
    shown = searched[0][page, query]
    assert shown["errors"] == []
    paths = [x["path"] for x in shown["results"]]
    assert paths[0] == first, (shown["words"], paths)
    assert all(path.startswith("/en/") == page.startswith("en/") for path in paths)
    assert set(query.lower().split()) <= set(shown["results"][0]["marked"])
    assert re.search(r"\d+ matching documents" if page.startswith("en/") else r"\d+ dokumen", shown["words"])


@pytest.mark.parametrize(("page", "query"), NOTHING)
def test_search_says_when_nothing_is_found(
    searched: tuple[dict[tuple[str, str], dict[str, Any]], str], page: str, query: str
) -> None:
    shown = searched[0][page, query]
    assert shown["results"] == [] and shown["words"]


def test_search_over_http_complains_of_nothing(searched: tuple[dict[tuple[str, str], dict[str, Any]], str]) -> None:
    complaints = [line for line in searched[1].splitlines() if "CONSOLE" in line and "favicon" not in line]
    assert complaints == []


def test_the_language_switch_leads_to_the_same_page(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue
        links = re.findall(r'class="languages__item"[^>]*\s+href="([^"]+)"', page.read_text())
        assert len(links) == 1
        other = (page.parent / links[0]).resolve()
        assert other.is_file() and other != page and other.name == page.name


def test_every_page_is_small_enough(site: Path) -> None:
    assert max(p.stat().st_size for p in site.rglob("*.html")) < 1_500_000


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?:https?:)?//[^"]+"')
    for page in site.rglob("*.html"):
        assert fetched.findall(page.read_text()) == [], page
