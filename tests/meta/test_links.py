"""Links of the pages lead somewhere (spec/docs.md)."""

import http.server
import json
import threading

import links
import pytest


@pytest.mark.clause("DOC-001")
def test_every_link_of_the_clone_leads_somewhere():
    """README, guides, specification, plugins and notebook: each file and each heading is there."""
    assert not [*links.nowhere()]
    names = {page.name for page in links.pages()}
    assert {"README.md", "README.zh.md", "adapt.md", "masking.md", "tutorial.ipynb"} <= names


@pytest.mark.clause("DOC-001")
def test_links_that_lead_nowhere_are_told(tmp_path):
    """A missing file, one outside the clone, a missing heading; in Markdown, HTML, a notebook."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# One `two`, three!\n\n## Same\n\n## Same\n", "utf-8")
    (tmp_path / "README.md").write_text(
        "# Top\n\n[a](docs/a.md#one-two-three) [b](docs/a.md#same-1) [c](#top) [d](https://x.org)\n"
        "[e](docs/b.md) [f](docs/a.md#same-2) [g](../a.md) ![h](h.png)\n\n"
        '<img src="i.svg">\n\n```\n[j](j.md)\n```\n\n[k][l]\n\n[l]: m.md\n',
        "utf-8",
    )
    cells = [
        {"cell_type": "markdown", "source": ["[n](n.md)\n", "[o](a.md)"]},
        {"cell_type": "code", "source": "[p](p.md)"},
    ]
    (tmp_path / "docs" / "q.ipynb").write_text(json.dumps({"cells": cells}), "utf-8")
    assert sorted(links.nowhere(tmp_path)) == [
        "README.md: ../a.md: no such file in the clone",
        "README.md: docs/a.md#same-2: no such heading",
        "README.md: docs/b.md: no such file in the clone",
        "README.md: h.png: no such file in the clone",
        "README.md: i.svg: no such file in the clone",
        "README.md: m.md: no such file in the clone",
        "docs/q.ipynb: n.md: no such file in the clone",
    ]
    assert links.outside(tmp_path) == ["https://x.org"]


class _Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({"/there": 200, "/busy": 503}.get(self.path, 404))
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.mark.clause("DOC-001")
def test_links_that_lead_elsewhere_are_asked_for():
    """What is gone and what does not answer is told; a server that is busy may have the page."""
    with http.server.HTTPServer(("127.0.0.1", 0), _Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"http://127.0.0.1:{server.server_port}"
        asked = [f"{host}/{name}" for name in ("there", "busy", "gone")]
        assert [*links.unreachable(asked)] == [f"{host}/gone: 404"]
        server.shutdown()
    (told,) = links.unreachable(["http://127.0.0.1:1/x"])
    assert told.startswith("http://127.0.0.1:1/x: ")
