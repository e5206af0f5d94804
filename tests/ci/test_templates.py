"""The files of config/ci/: valid in their own formats, and every command in them can be typed."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.ci.stage import Stage, token
from tests.cli.desk import ROOT
from tests.real import ci_tools
from tests.test_docs import fault
from tests.waiting import LONG

CI = ROOT / "config" / "ci"
FILES = (ROOT / ".pre-commit-hooks.yaml", CI / "github" / "action.yml", CI / "github" / "scan.sh",
         CI / "gitlab" / "clawsecrets.gitlab-ci.yml", CI / "Containerfile", CI / "pre-receive")
VARIABLES = {'scan "$@"': "scan git", '"${words[@]}"': "scan git",
             '"$@"': "--no-baseline", '"$CLAWSECRETS"': "clawsecrets",
             '"$SARIF"': "x.sarif", '"$PLACE"': ".", "$OPTIONS": "", '"$before..$after"': "A..B"}


def command_lines(path: Path) -> list[str]:
    """The lines that run clawsecrets, with shell variables filled in, without redirections."""
    lines = []
    for line in path.read_text().splitlines():
        line = line.strip()
        if line.startswith("#"):
            continue
        for name, value in VARIABLES.items():
            line = line.replace(name, value)
        if found := re.search(r"(?:^|entry: |\s)(clawsecrets (?:scan|baseline)\b.*)", line):
            lines.append(re.split(r" \|\| | <| >|; ", found[1])[0])
    return lines


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_every_command_can_be_typed(path: Path) -> None:
    lines = command_lines(path)
    assert lines or (path.suffix == ".yml" and "scan.sh" in path.read_text()) or path.name == "Containerfile"
    assert {line: fault(line) for line in lines if fault(line)} == {}


def test_the_options_that_the_hook_and_the_action_put_together_exist() -> None:
    for path in (CI / "pre-receive", CI / "github" / "scan.sh", CI / "gitlab" / "clawsecrets.gitlab-ci.yml"):
        options = set(re.findall(r"(--(?:baseline|no-baseline|commits|trust-\w+|no-cache|format))\b", path.read_text()))
        assert options
        assert fault(f"clawsecrets scan git {' '.join(f'{option}=x' for option in options)} .") == ""
    assert fault("clawsecrets scan stdin --format=text --baseline=x --no-baseline") == ""


@pytest.mark.parametrize("path", [path for path in FILES if path.read_bytes().startswith(b"#!")],
                         ids=lambda path: path.name)
def test_the_scripts_are_executable_and_parse(path: Path) -> None:
    shell = "bash" if b"bash" in path.read_bytes().split(b"\n")[0] else "sh"
    assert os.access(path, os.X_OK)
    assert subprocess.run([shell, "-n", str(path)], check=False).returncode == 0


def test_nothing_of_strangers_is_pasted_into_a_script() -> None:
    action = (CI / "github" / "action.yml").read_text()
    scripts = re.findall(r"run: (.*(?:\n {8}.*)*)", action)
    assert len(scripts) == 2 and not any("${{" in script for script in scripts)


@pytest.mark.real("ci-tools")
@pytest.mark.parametrize(("schema", "name"), [("vendor.github-actions", "github/action.yml"),
                                              ("vendor.gitlab-ci", "gitlab/clawsecrets.gitlab-ci.yml")])
def test_they_follow_the_schema(schema: str, name: str) -> None:
    done = subprocess.run([str(ci_tools.program("check-jsonschema")), "--builtin-schema", schema,
                           *(["--data-transform", "gitlab-ci"] if "gitlab" in schema else []), str(CI / name)],
                          capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.real("ci-tools")
def test_the_hooks_file_is_one_that_pre_commit_takes() -> None:
    done = subprocess.run([str(ci_tools.program("pre-commit")), "validate-manifest",
                           str(ROOT / ".pre-commit-hooks.yaml")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# --- the scripts, run as the CI server would -----------------------------------------------------------------------


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path / "s")
    made.repository()
    (made.root / "runner" / "clawsecrets").mkdir(parents=True)
    (made.root / "runner" / "clawsecrets" / "bin").symlink_to(Path(shutil.which("clawsecrets", path=made.env["PATH"])
                                                                   or "").parent)
    return made


def action(stage: Stage, **env: str) -> tuple[int, str]:
    ran = stage.run("bash", str(CI / "github" / "scan.sh"), cwd="work", env={
        "RUNNER_TEMP": str(stage.root / "runner"), "KIND": "git", "PLACE": ".", "COMMITS": "", "SARIF": "", **env})
    return ran.code, ran.everything


def test_the_action_annotates_and_fails(stage: Stage) -> None:
    assert action(stage)[0] == 0
    stage.commit("app.env", f"OPENROUTER_API_KEY={token()}\n")
    code, said = action(stage, SARIF="out.sarif")
    assert code == 1 and "::error file=app.env,line=1" in said, said
    sarif = json.loads((stage.root / "work" / "out.sarif").read_text())
    assert len(sarif["runs"][0]["results"]) == 1


def test_the_action_believes_the_baseline_of_the_base_only(stage: Stage) -> None:
    stage.git("remote", "add", "origin", "../work")
    stage.git("fetch", "-q", "origin")
    stage.commit("app.env", f"OPENROUTER_API_KEY={token()}\n")
    report = stage.run("clawsecrets", "scan", "git", ".", "--json", cwd="work")
    stage.write("report.json", report.out)
    assert stage.run("clawsecrets", "baseline", "add", "--from", "../report.json", "--reason", "made up",
                     "--expires", "9d", cwd="work").code == 0
    stage.git("add", "--all")
    stage.git("commit", "-q", "-m", "hide")
    assert action(stage)[0] == 0  # on the branch itself its own counts
    assert action(stage, GITHUB_BASE_REF="main")[0] == 1  # origin/main does not have it
    assert action(stage, GITHUB_BASE_REF="no-such-branch")[0] == 1
    stage.git("fetch", "-q", "origin")
    code, said = action(stage, GITHUB_BASE_REF="main")
    assert code == 0, said


def gitlab_script() -> str:
    """The script of the job, out of its block."""
    text = (CI / "gitlab" / "clawsecrets.gitlab-ci.yml").read_text()
    block = re.search(r"    - \|\n((?:      .*\n)+)", text)
    assert block is not None
    return "".join(line[6:] + "\n" for line in block[1].splitlines())


def test_the_job_reports_and_fails(stage: Stage) -> None:
    script = gitlab_script().replace("/tmp/clawsecrets-baseline", str(stage.root / "baseline"))
    assert stage.run("sh", "-ec", script, cwd="work", env={"CI_COMMIT_SHA": stage.git("rev-parse", "HEAD")}).code == 0
    head = stage.commit("app.env", f"OPENROUTER_API_KEY={token()}\n")
    ran = stage.run("sh", "-ec", script, cwd="work", env={"CI_COMMIT_SHA": head})
    assert ran.code == 1, ran
    reports = {path: (stage.root / "work" / path).read_text() for path in
               ("gl-secret-detection-report.json", "gl-code-quality-report.json", "clawsecrets-junit.xml")}
    assert all("sk-or-v1-" in text for text in reports.values())
    assert len(json.loads(reports["gl-secret-detection-report.json"])["vulnerabilities"]) == 1


def test_the_words_of_a_shell_are_read_as_they_are() -> None:
    assert shlex.split(command_lines(ROOT / ".pre-commit-hooks.yaml")[0]) == ["clawsecrets", "scan", "git", "--staged"]
