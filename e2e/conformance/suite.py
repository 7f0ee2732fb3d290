"""Runs ceph's s3-tests against a target, and reads what came of each test.

The suite's own folder is only read: its configuration and everything that is written are elsewhere.
"""

import configparser
import json
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from processes import clean_environment
from targets import REGION

HERE = Path(__file__).parent
MODULES = ("test_s3.py", "test_headers.py")
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
# Some tests wait for the engine's clock; longer than that none of them does.
TEST_SECONDS = 90


@dataclass
class Outcome:
    """What became of one test; `why` is the last line of its error, or the reason for which it was skipped."""

    state: str
    why: str = ""


def head(folder):
    """The suite's commit and its date, or None where the folder is no git checkout."""
    show = ["git", "-C", folder, "log", "-1", "--format=%h of %cs"]
    done = subprocess.run(show, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def write_configuration(path, seat):
    """The suite's own settings (s3tests.conf.SAMPLE there) for one worker."""
    settings = configparser.RawConfigParser()
    settings["DEFAULT"] = {"host": "127.0.0.1", "port": seat.port, "is_secure": "False"}
    settings["fixtures"] = {"bucket prefix": "vt-{random}-"}
    # A second is what it waits for a day of lifecycle rules on a Ceph that is set up for it; nobody else shortens days.
    settings["s3 main"] = {**vars(seat.users["main"]), "api_name": REGION, "lc_debug_interval": "1"}
    settings["s3 alt"] = vars(seat.users["alt"])
    settings["s3 tenant"] = {**vars(seat.users["tenant"]), "tenant": ""}
    # Read at every start, used by none of the tests that are run.
    for name in ("iam", "iam root", "iam alt root"):
        settings[name] = vars(seat.users["main"])
    with open(path, "w") as file:
        settings.write(file)


def run(suite, target, folder, only="", left_out=(), names=None, workers=None):
    """Runs the suite and gives {test's name: Outcome}.

    `only` are further words for pytest, such as `-k tagging`; `names` are single tests, instead of all; `left_out` are
    patterns of names that are not run. Raises RuntimeError when pytest itself fails.
    """
    folder.mkdir()
    seats = target.seats()
    for number, seat in enumerate(seats):
        write_configuration(folder / f"gw{number}.conf", seat)
    (folder / "left-out.json").write_text(json.dumps(list(left_out)))
    (folder / "names.json").write_text(json.dumps(sorted(names) if names else []))
    workers = len(seats) if workers is None else workers
    results = folder / "results.xml"
    command = [
        sys.executable, "-m", "pytest", "-p", "guard", "-p", "no:cacheprovider", "--tb=native", "-q",
        f"--junitxml={results}", f"--timeout={TEST_SECONDS}", "-n", str(workers), "--dist=worksteal",
        *(f"s3tests/functional/{module}" for module in MODULES), *shlex.split(only),
    ]  # fmt: skip
    environment = clean_environment(
        PYTHONPATH=str(HERE),
        PYTHONDONTWRITEBYTECODE="1",
        HOME=str(folder),
        AWS_DEFAULT_REGION=REGION,
        AWS_EC2_METADATA_DISABLED="true",
        NO_PROXY="127.0.0.1",
        CONFORMANCE_FOLDER=str(folder),
    )
    with open(folder / "pytest.out", "wb") as said:
        done = subprocess.run(command, cwd=suite, env=environment, stdout=said, stderr=said, stdin=subprocess.DEVNULL)
    # 0: all passed; 1: some failed; 5: none was chosen.
    if done.returncode not in (0, 1, 5) or not results.exists():
        said = (folder / "pytest.out").read_text(errors="replace")
        raise RuntimeError(f"pytest ended with {done.returncode}:\n{said[-3000:]}")
    return trusted(outcomes(results))


def trusted(found):
    """`found`, unless buckets were left until no more could be made: then later tests failed for earlier ones.

    Raises RuntimeError."""
    full = [name for name, outcome in found.items() if "TooManyBuckets" in outcome.why]
    if full:
        raise RuntimeError(f"buckets were not cleared, so that {len(full)} tests say nothing: {', '.join(full[:5])}")
    return found


def outcomes(results):
    """{test's name: Outcome} of a JUnit file. An error in setting up is a failure."""
    found = {}
    for case in ElementTree.parse(results).iter("testcase"):
        name = f"{case.get('classname').rsplit('.', 1)[-1]}::{case.get('name')}"
        bad = [child for child in case if child.tag in ("failure", "error")]
        skipped = case.find("skipped")
        if bad:
            found[name] = Outcome(FAILED, reason(bad[0]))
        elif skipped is not None:
            found.setdefault(name, Outcome(SKIPPED, skipped.get("message") or ""))
        else:
            found.setdefault(name, Outcome(PASSED))
    return found


def reason(failure):
    """The first line of what the test said when it failed, without the names that each run makes up, shortened."""
    first = (failure.get("message") or "").strip().splitlines() or [""]
    return re.sub(r"\bvt-[a-z0-9]+-\d*", "BUCKET", first[0])[:300]
