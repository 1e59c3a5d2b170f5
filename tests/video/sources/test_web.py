"""Addresses through yt-dlp, from a server on this machine's loopback."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from robowm.__main__ import main
from robowm.errors import UserError
from robowm.video.sources.entry import Search
from robowm.video.sources.web import find_web

yt_dlp = pytest.importorskip("yt_dlp")


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        super().do_GET()


@pytest.fixture
def server(make_clip, moving, tmp_path, monkeypatch) -> Iterator[ThreadingHTTPServer]:
    """Serves a clip; `asked` are the paths that were fetched."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    make_clip("site/pick_up_cup.mp4", moving(12))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=tmp_path / "site"))
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_list_of_addresses(server, tmp_path, capsys) -> None:
    site = f"http://127.0.0.1:{server.server_port}"
    listed = tmp_path / "list.txt"
    listed.write_text(f"# clips\n{site}/pick_up_cup.mp4\n\n{site}/gone.mp4\n")
    command = ["ingest", str(listed), "--size-px", "16", "--workers", "1"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    rows = {
        row["source"]: row for row in pq.read_table(tmp_path / "out/manifest.parquet").to_pylist()
    }
    good, gone = rows[f"{site}/pick_up_cup.mp4"], rows[f"{site}/gone.mp4"]
    assert (good["reason"], good["task"], good["frames"]) == ("ok", "pick up cup", 12)
    assert gone["reason"] == "missing" and "404" in gone["note"]
    index = json.loads((tmp_path / "out.downloads/fetched.json").read_text())
    assert index.keys() == {f"{site}/pick_up_cup.mp4"}
    asked = server.asked.count("/pick_up_cup.mp4")
    found = find_web(Search((str(listed),), (), tmp_path / "out.downloads"))
    assert len(found.entries) == 2 and server.asked.count("/pick_up_cup.mp4") == asked
    folder = find_web(Search((str(tmp_path / "out.downloads"),)))  # read as plain files
    assert [entry.label().task for entry in folder.entries] == ["pick up cup"]


def test_a_list_that_is_none(tmp_path) -> None:
    (tmp_path / "list.txt").write_text("clips/a.mp4\n")
    with pytest.raises(UserError, match=r"holds 'clips/a.mp4'; expected http"):
        find_web(Search((str(tmp_path / "list.txt"),)))
    (tmp_path / "list.txt").write_text("# nothing\n")
    with pytest.raises(UserError, match="holds no address"):
        find_web(Search((str(tmp_path / "list.txt"),)))
    with pytest.raises(UserError, match=r"absent.txt cannot be read"):
        find_web(Search((str(Path("absent.txt")),)))
