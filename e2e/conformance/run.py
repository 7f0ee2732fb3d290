"""`make conformance`: ceph's s3-tests, asked of an engine directly and through Vaultaire, and what only fails through
us.

Exit code 0 when everything that passes directly passes through us, or fails by a decision in by-decision.txt; 1 when
something else fails through us; 2 when it cannot be run.
"""

import argparse
import contextlib
import datetime
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
import suite
from report import Comparison
from targets import ENGINES, Vaultaire

PLACEMENTS = ("dedicated", "pooled")
HERE = Path(__file__).parent


def arguments():
    parser = argparse.ArgumentParser(prog="make conformance")
    parser.add_argument("--suite", type=Path, required=True, help="a checkout of ceph/s3-tests")
    parser.add_argument("--vaultaire", type=Path, required=True, help="the binary")
    parser.add_argument("--tools", type=Path, required=True, help="where scripts/install-tools put weed and moto")
    parser.add_argument("--engine", choices=ENGINES, help="only this one")
    parser.add_argument("--placement", choices=PLACEMENTS, help="only this one")
    parser.add_argument("--only", default="", help="further words for pytest, such as '-k tagging'")
    parser.add_argument("--workers", type=int, default=4, help="how many tests run at once")
    parser.add_argument("--keep", type=Path, help="a new folder for logs and results, instead of a passing one")
    parser.add_argument("--write", type=Path, help="the document that is written after a whole run")
    return parser.parse_args()


def main():
    asked = arguments()
    missing = [module for module in suite.MODULES if not (asked.suite / "s3tests/functional" / module).exists()]
    if missing:
        raise RuntimeError(f"{asked.suite} is no checkout of ceph/s3-tests: it has no s3tests/functional/{missing[0]}.")
    compared, titles = [], {}
    with workplace(asked.keep) as folder:
        for name in [asked.engine] if asked.engine else ENGINES:
            compared += of_engine(asked, folder, name, titles)
    whole = not (asked.only or asked.engine or asked.placement)
    print(report.table(compared))
    if whole and asked.write:
        asked.write.write_text(report.document(compared, versions(asked, titles)))
        print(f"conformance: written to {asked.write}")
    return 1 if any(comparison.unexplained for comparison in compared) else 0


@contextlib.contextmanager
def workplace(keep):
    """A folder for everything that is written meanwhile; `keep` stays."""
    passing = tempfile.TemporaryDirectory(prefix="vaultaire-conformance.")
    with passing as folder:
        folder = keep.resolve() if keep else Path(folder)
        folder.mkdir(exist_ok=True)
        # The database runs as another user, who must get through here.
        folder.chmod(0o755)
        yield folder


def of_engine(asked, folder, name, titles):
    """Compares one engine with Vaultaire over it, in each placement that is asked for."""
    decided = report.read_patterns(HERE / "by-decision.txt")
    left_out = report.read_patterns(HERE / "left-out.txt")

    def run(target, called, **further):
        return timed(called, asked.suite, target, folder / called, only=asked.only, left_out=left_out, **further)

    engine = ENGINES[name](asked.tools, folder, asked.workers)
    titles[name] = engine.title
    compared = []
    try:
        direct = run(engine, f"{name}-direct")
        for placement in [asked.placement] if asked.placement else PLACEMENTS:
            vaultaire = Vaultaire(asked.vaultaire, asked.tools, folder, engine, placement, asked.workers)
            try:
                through = run(vaultaire, f"{name}-{placement}-through")
                doubtful = Comparison(engine.title, placement, direct, through, decided).only_through_us
                if doubtful:
                    # Once more, one at a time if they are few: what then passes was disturbed, not refused.
                    workers = 0 if len(doubtful) <= 40 else None
                    again = run(vaultaire, f"{name}-{placement}-again", names=doubtful, workers=workers)
                    through = {**through, **again}
            finally:
                vaultaire.stop()
            compared.append(Comparison(engine.title, placement, direct, through, decided, set(doubtful)))
            print(report.details(compared[-1]), flush=True)
    finally:
        engine.stop()
    return compared


def timed(called, *words, **further):
    begun = time.monotonic()
    print(f"conformance: {called} …", flush=True)
    found = suite.run(*words, **further)
    print(f"conformance: {called}: {report.counts(found)} ({time.monotonic() - begun:.0f} s)", flush=True)
    return found


def versions(asked, titles):
    """What was run: a sentence for the document."""
    said = subprocess.run([asked.vaultaire, "--version"], capture_output=True, text=True).stdout
    vaultaire = re.sub(r"^\w+ ", "", said.strip())
    commit = suite.head(asked.suite)
    day = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    of_suite = f"s3-tests {commit}" if commit else "s3-tests"
    return f"{day}: Vaultaire {vaultaire}, {', '.join(titles.values())}, {of_suite}."


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as error:
        print(f"conformance: {error}", file=sys.stderr)
        sys.exit(2)
