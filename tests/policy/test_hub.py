"""A policy goes to the Hub and comes back by name: huggingface-hub whole, a Hub of our own."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature

from robowm.policy.configuration_vipra import VipraConfig
from robowm.policy.modeling_vipra import VipraPolicy
from robowm.policy.processor_vipra import make_vipra_pre_post_processors

NAME = "lab/policy"
# what lerobot-train does at the end with --policy.push_to_hub=true; but for its model card, which
# huggingface-hub has checked by huggingface.co alone, whatever HF_ENDPOINT says
PUSHES = f"""
from lerobot.policies.factory import make_pre_post_processors
from robowm.policy.modeling_vipra import VipraPolicy

policy = VipraPolicy.from_pretrained("made")
for part in (policy, *make_pre_post_processors(policy.config, pretrained_path="made")):
    part.push_to_hub("{NAME}")
"""
LOADS = f"""
from pathlib import Path

from robowm.errors import UserError
from robowm.nn.directory import fingerprint, resolve
from robowm.policy.lerobot_controller import load_controller
from robowm.recipes import load
from robowm.sim.evaluate import evaluate

controller = load_controller("{NAME}")
print(fingerprint(resolve("{NAME}")), controller.action_dim, controller.control_hz)
try:
    resolve("lab/nothing")
except UserError as error:
    print(error)
try:
    evaluate("{NAME}", load("sim_eval/robosuite").SUITE.task("Lift"), Path("result.json"))
except UserError as error:
    print(error)
"""


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub's HTTP interface as making, pushing and fetching a model asks for.

    It answers that every file be sent inside its commit, as the Hub does of small ones.
    """

    stored: dict[str, bytes]
    protocol_version = "HTTP/1.1"

    @property
    def commit(self) -> str:
        """Of what is stored now: 40 digits, as git's are."""
        return hashlib.sha1(repr(sorted(self.stored.items())).encode()).hexdigest()

    def do_POST(self) -> None:
        """Make a repository, ask how files shall come, commit them."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path, here = urlsplit(self.path).path, f"http://{self.headers['Host']}"
        if path == "/api/repos/create":
            self.answer({"url": f"{here}/{NAME}", "id": NAME})
        elif path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif path == f"/api/models/{NAME}/preupload/main":
            asked = [file["path"] for file in json.loads(body)["files"]]
            how = {"uploadMode": "regular", "shouldIgnore": False}
            self.answer({"files": [{"path": name} | how for name in asked]})
        elif path == f"/api/models/{NAME}/commit/main":
            lines = [json.loads(line) for line in body.splitlines()]
            for file in (line["value"] for line in lines if line["key"] == "file"):
                self.stored[file["path"]] = base64.b64decode(file["content"])
            self.answer({"commitUrl": f"{here}/{NAME}/commit/1", "commitOid": self.commit})
        else:
            self.answer({"error": f"Repository not found: {path}"}, 404)

    def do_GET(self) -> None:
        """What is in the repository, and its files."""
        path, made = unquote(urlsplit(self.path).path), f"/{NAME}/resolve/{self.commit}/"
        if path == f"/api/models/{NAME}/revision/main":
            files = [{"rfilename": name} for name in self.stored]
            self.answer({"id": NAME, "sha": self.commit, "siblings": files})
        elif path == f"/api/models/{NAME}/tree/{self.commit}":
            files = [{"path": n, "size": len(c), "oid": "0"} for n, c in self.stored.items()]
            self.answer([{"type": "file"} | file for file in files])
        elif path.replace("/resolve/main/", f"/resolve/{self.commit}/").startswith(made):
            content = self.stored.get(path.split("/", 5)[5])
            self.send(content or b"", 404 if content is None else 200)
        else:
            self.answer({"error": f"Repository not found: {path}"}, 404)

    do_HEAD = do_GET

    def answer(self, value: Any, status: int = 200) -> None:
        """JSON."""
        self.send(json.dumps(value).encode(), status)

    def send(self, content: bytes, status: int) -> None:
        """Bytes, under the headers by which they are cached."""
        self.send_response(status)
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": self.commit}
        missing = "EntryNotFound" if "/resolve/" in self.path else "RepoNotFound"
        headers |= {"X-Error-Code": missing} if status == 404 else {}
        for key, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *words: Any) -> None:
        """Silent."""


@contextmanager
def hub(stored: dict[str, bytes]) -> Iterator[str]:
    """Its address, while it runs."""
    handler = type("Handler", (Hub,), {"stored": stored})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def run(words: list[str], cwd: Path, **environment: str) -> str:
    """What a Python process prints, that knows only the Hub it is told of."""
    ours = {"HF_HOME": str(cwd / "home"), "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": "none"}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env=kept | ours | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A policy's directory, and what came to the Hub of it."""
    cwd, stored = tmp_path_factory.mktemp("hub"), dict[str, bytes]()
    image = PolicyFeature(FeatureType.VISUAL, (3, 32, 32))
    config = VipraConfig(
        device="cpu",
        size_px=32,
        width=16,
        depth=1,
        heads=2,
        input_features={
            "observation.images.main": image,
            "observation.state": PolicyFeature(FeatureType.STATE, (2,)),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (2,))},
    )
    one = {"mean": torch.full((2,), 0.5), "std": torch.ones(2)}
    VipraPolicy(config).save_pretrained(cwd / "made")
    for part in make_vipra_pre_post_processors(config, {"observation.state": one, "action": one}):
        part.save_pretrained(cwd / "made")
    with hub(stored) as address:
        run(["-c", PUSHES], cwd, HF_ENDPOINT=address)
    return cwd / "made", stored


def test_all_of_a_policy_is_pushed_as_it_is(pushed: tuple[Path, dict[str, bytes]]) -> None:
    made, stored = pushed
    assert {path.name for path in made.iterdir()} == stored.keys()
    for name in stored:
        if name.endswith(".safetensors"):
            assert stored[name] == (made / name).read_bytes()
    assert sum("processor_step" in name for name in stored) == 2  # the statistics
    texts = [content.decode() for name, content in stored.items() if name.endswith(".json")]
    assert not any(str(made.parent) in text for text in texts)


def test_it_is_loaded_by_its_name_and_then_without_a_network(
    pushed: tuple[Path, dict[str, bytes]],
) -> None:
    (made, stored), cwd = pushed, pushed[0].parent
    weights = hashlib.sha256((made / "model.safetensors").read_bytes()).hexdigest()
    with hub(stored) as address:
        loaded, missing, unfit = run(["-c", LOADS], cwd, HF_ENDPOINT=address).splitlines()
    assert loaded == f"{weights} 2 10.0"
    assert missing.startswith("lab/nothing is neither a local directory nor a model the Hub gives")
    assert "has actions of size 2; robosuite/Lift expects 7" in unfit  # so eval has read it
    again, offline, same = run(["-c", LOADS], cwd, HF_HUB_OFFLINE="1").splitlines()
    assert again == loaded and offline.startswith("lab/nothing is neither")
    assert same == unfit
