"""The files of docs/ci: their shell steps run as the services would run them, on the mock agent.

`pip`, `gh` and the comparison are stand-ins that write down what they were asked; all else is real.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.system.stores import free_port

ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "docs" / "ci" / "action.yml").read_text())
GITLAB = yaml.safe_load((ROOT / "docs" / "ci" / "gitlab.yml").read_text())["agent-profile"]
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}

pytestmark = pytest.mark.system

WORKLOAD = """
name: ci
load: {users: 6, requests: 12, seed: 1}
scenarios: [{name: a, turns: [{user: hello}]}]
"""
AGENT_PROFILER = f"""#!/bin/bash
printf '%s\\n' "agent-profiler $*" >> "$CALLS"
if [ "$1" = compare ]; then
  while [ $# -gt 0 ]; do
    case "$1" in
      --markdown) echo '## Comparison' | tee "$2" >> "$GITHUB_STEP_SUMMARY" ;;
      --junit) echo '<testsuites/>' > "$2" ;;
    esac
    shift
  done
  exit "${{COMPARED:-0}}"
fi
if [ "$1" = run ] && [ -n "$RAN" ]; then  # with --out at the third place: a run that ended so
  mkdir -p "$4" && cp {ROOT}/results/sample/profile.json "$4"
  exit "$RAN"
fi
exec {sys.executable} -m profiler "$@"
"""
GH = """#!/bin/bash
printf '%s\\n' "gh $*" >> "$CALLS"
case "$*" in *--paginate*) printf '%s' "$COMMENTS" ;; esac
"""
PYTHON = f"""#!/bin/bash
if [ "$2" = pip ]; then printf '%s\\n' "python $*" >> "$CALLS"; else exec {sys.executable} "$@"; fi
"""


@dataclass
class Job:
    """A runner's directories, its programs, and what was run so far."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        programs = self.folder / "bin"
        programs.mkdir()
        for name, text in (("agent-profiler", AGENT_PROFILER), ("gh", GH), ("python", PYTHON)):
            (programs / name).write_text(text)
            (programs / name).chmod(stat.S_IRWXU)
        (self.folder / "ci.yaml").write_text(WORKLOAD)
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "CALLS": str(self.folder / "calls"),
            "COMMENTS": "",
        }

    def calls(self, program: str) -> list[str]:
        lines = (self.folder / "calls").read_text().splitlines()
        return [line for line in lines if line.startswith(f"{program} ")]

    def shell(self, command: list[str], **environ: str) -> subprocess.CompletedProcess[str]:
        with (self.folder / "out").open("w") as out:
            return subprocess.run(
                command,
                cwd=self.folder,
                env={**self.environ, **environ},
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=90,
                check=False,
            )

    def step(self, name: str, inputs: dict[str, str]) -> int:
        """Run a step as GitHub does, its expressions filled in; return its exit code."""
        step, output = STEPS[name], self.folder / "output"
        output.write_text("")
        defaults = {key: item.get("default", "") for key, item in ACTION["inputs"].items()}
        known = {f"inputs.{key}": value for key, value in (defaults | inputs).items()}
        known |= {"runner.temp": str(self.folder), "github.repository": "o/r"}
        known |= {"github.event.number": "7"}
        for done, values in self.outputs.items():
            known |= {f"steps.{done}.outputs.{key}": value for key, value in values.items()}
        filled = {
            key: re.sub(r"\$\{\{ (.*?) \}\}", lambda found: known[found[1]], value)
            for key, value in step.get("env", {}).items()
        }
        script = self.folder / "step.sh"
        script.write_text(step["run"])
        ended = self.shell(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            **filled,
            GITHUB_OUTPUT=str(output),
            GITHUB_STEP_SUMMARY=str(self.folder / "step_summary"),
        )
        pairs = (line.partition("=") for line in output.read_text().splitlines())
        self.outputs[step.get("id", name)] = {key: value for key, _, value in pairs}
        return ended.returncode


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path)


@pytest.fixture
def port():
    return free_port()


def test_no_input_is_text_of_a_script():
    assert not [name for name, step in STEPS.items() if "${{" in step["run"]]


def test_the_action_profiles_an_agent_that_it_starts_comments_and_passes(job, port):
    inputs = {
        "workload": "ci.yaml",
        "start": f"agent-profiler mock agent --port {port}",
        "url": f"http://127.0.0.1:{port}/v1/chat/completions",
        "baseline": "base.json",
        "gates": "gates.yaml",
        "options": "--requests 6",
    }
    said = job.folder / "out"
    for name in ("Install", "Start the agent", "Profile", "Compare", "Comment"):
        assert job.step(name, inputs) == 0, (name, said.read_text())
    assert job.step("Stop the agent", inputs) == 0
    assert job.step("Gate", inputs) == 0
    profile = json.loads(Path(job.outputs["profile"]["profile"]).read_bytes())
    assert profile["sample"]["succeeded"] == 6
    summary = (job.folder / "step_summary").read_text()
    assert summary.index("Profile of ci") < summary.index("## Comparison")
    asked = next(call for call in job.calls("agent-profiler") if " compare " in call)
    assert asked.startswith("agent-profiler compare base.json ")
    assert asked.endswith("--gates gates.yaml")
    comment = (job.folder / "agent-profiler" / "comment.md").read_text()
    assert comment.startswith("<!-- agent-profiler -->\n\n## Comparison\n")
    assert "--method POST repos/o/r/issues/7/comments" in job.calls("gh")[-1]
    job.environ["COMMENTS"] = "41\n42\n"
    assert job.step("Comment", inputs) == 0
    assert "--method PATCH repos/o/r/issues/comments/41" in job.calls("gh")[-1]


@pytest.mark.parametrize(
    ("ran", "inconclusive", "profiles", "gates"),
    [("4", "fail", 0, 4), ("4", "pass", 0, 0), ("5", "pass", 5, None)],
)
def test_a_busy_runner_still_has_its_profile_and_is_the_jobs_choice(
    job, ran, inconclusive, profiles, gates
):
    """Exit code 4 of `run`: the harness was the bottleneck, and there is a profile."""
    job.environ["RAN"] = ran
    inputs = {"workload": "ci.yaml", "inconclusive": inconclusive}
    assert job.step("Profile", inputs) == profiles
    job.outputs["compare"] = {"code": ""}
    if gates is not None:
        assert job.outputs["profile"]["profile"]
        assert job.step("Gate", inputs) == gates


@pytest.mark.parametrize(
    ("compared", "inconclusive", "compares", "gates"),
    [("3", "pass", 0, 3), ("4", "fail", 0, 4), ("4", "pass", 0, 0), ("2", "pass", 2, 2)],
)
def test_the_comparisons_exit_code_becomes_the_jobs(job, compared, inconclusive, compares, gates):
    (job.folder / "agent-profiler").mkdir()
    job.environ["COMPARED"] = compared
    job.outputs["profile"] = {"code": "0"}
    inputs = {"baseline": "base.json", "inconclusive": inconclusive}
    assert job.step("Compare", inputs) == compares
    assert job.step("Gate", inputs) == gates


def test_an_agent_that_does_not_start_ends_the_job_with_what_it_said(job, port):
    inputs = {"start": "sh -c 'echo no model; exit 9'", "url": f"http://127.0.0.1:{port}/"}
    assert job.step("Start the agent", inputs) == 1
    assert "no model" in (job.folder / "out").read_text()


def gitlab(job: Job, **variables: str) -> int:
    """Run the job's lines as GitLab's runner does: one shell, which stops at the first failure."""
    lines = [*GITLAB["before_script"], *GITLAB["script"]]
    script = job.folder / "job.sh"
    script.write_text("set -eo pipefail\n" + "\n".join(lines) + "\n")
    defaults = {key: str(value) for key, value in GITLAB["variables"].items()}
    return job.shell(["bash", str(script)], **(defaults | variables)).returncode


def test_gitlabs_job_profiles_the_mock_and_gates(job):
    code = gitlab(job, WORKLOAD="ci.yaml", BASELINE="base.json", COMPARED="4")
    assert code == 4, (job.folder / "out").read_text()
    assert code in GITLAB["allow_failure"]["exit_codes"]
    assert (job.folder / GITLAB["artifacts"]["reports"]["junit"]).exists()
    profile = json.loads((job.folder / "agent-profile" / "profile.json").read_bytes())
    assert profile["sample"]["succeeded"] == 12


def test_gitlabs_job_compares_what_a_busy_runner_measured(job):
    code = gitlab(job, WORKLOAD="ci.yaml", BASELINE="base.json", RAN="4")
    assert code == 4, (job.folder / "out").read_text()
    assert job.calls("agent-profiler")[-1].startswith("agent-profiler compare")


def test_gitlabs_job_comments_on_the_merge_request(job):
    notes: list[tuple[str, str | None, Any]] = []

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            notes.append((self.path, self.headers["PRIVATE-TOKEN"], body))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        code = gitlab(
            job,
            WORKLOAD="ci.yaml",
            CI_API_V4_URL=f"http://127.0.0.1:{server.server_port}/api/v4",
            CI_PROJECT_ID="5",
            CI_MERGE_REQUEST_IID="7",
            PROFILER_TOKEN="secret",
        )
        server.shutdown()
        thread.join()
    assert code in {0, 4}, (job.folder / "out").read_text()  # 4: the runner was busy
    ((path, token, body),) = notes
    assert (path, token) == ("/api/v4/projects/5/merge_requests/7/notes", "secret")
    assert "## Profile of ci" in body["body"]


def test_the_readmes_example_names_inputs_that_there_are():
    readme = (ROOT / "docs" / "ci" / "README.md").read_text()
    found = re.search(r"```yaml\n(on:.*?)```", readme, re.DOTALL)
    assert found is not None
    *_, ours = yaml.safe_load(found[1])["jobs"]["agent-profile"]["steps"]
    assert ours["with"].keys() <= ACTION["inputs"].keys()


def test_bash_takes_every_script():
    bash = shutil.which("bash")
    assert bash is not None
    for text in [step["run"] for step in STEPS.values()]:
        done = subprocess.run([bash, "-n"], input=text, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
