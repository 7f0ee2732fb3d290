"""Compares the suite's outcomes with and without Vaultaire, and says so in words, tables and docs/CONFORMANCE.md."""

import fnmatch
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from suite import FAILED, PASSED, SKIPPED


def read_patterns(path):
    """{pattern of names: reason} of a file with a TAB between them; `#` begins a comment. Raises RuntimeError."""
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        pattern, tab, why = line.partition("\t")
        if not tab or not why.strip():
            raise RuntimeError(f"{path.name}, line {number}: a pattern, a TAB and a reason are wanted.")
        found[pattern] = why.strip()
    return found


def counts(outcomes):
    of = Counter(outcome.state for outcome in outcomes.values())
    return f"{of[PASSED]} passed, {of[FAILED]} failed, {of[SKIPPED]} skipped"


@dataclass
class Comparison:
    """One engine in one placement. `tried_twice` are names that failed through us at least once."""

    engine: str
    placement: str
    direct: dict
    through: dict
    decided: dict
    tried_twice: set = field(default_factory=set)

    @property
    def only_through_us(self):
        """{name: why} of what passes directly and not through us."""
        passing = (name for name, outcome in self.direct.items() if outcome.state == PASSED)
        gone = ((name, self.through.get(name)) for name in sorted(passing))
        return {name: got.why if got else "was not run" for name, got in gone if not got or got.state != PASSED}

    def decision(self, name):
        """Why this one may fail, or None. A pattern may be bound to a placement or an engine: `pooled:test_s3::test_x`."""
        here = (self.placement, self.engine.split(" ")[0].lower())
        for pattern, why in self.decided.items():
            bound, colon, rest = pattern.partition(":")
            if bound in here and colon and not rest.startswith(":"):
                pattern = rest
            if fnmatch.fnmatchcase(name, pattern):
                return why
        return None

    @property
    def by_decision(self):
        """{reason: [names]}."""
        found = defaultdict(list)
        for name in self.only_through_us:
            if why := self.decision(name):
                found[why].append(name)
        return dict(found)

    @property
    def unexplained(self):
        """{name: why} of what fails only through us, without a decision."""
        return {name: why for name, why in self.only_through_us.items() if not self.decision(name)}

    @property
    def only_directly(self):
        """What fails directly and passes through us."""
        failing = (name for name, outcome in self.direct.items() if outcome.state == FAILED)
        return [name for name in sorted(failing) if (got := self.through.get(name)) and got.state == PASSED]

    @property
    def passed_the_second_time(self):
        return sorted(name for name in self.tried_twice if self.through[name].state == PASSED)


def table(compared):
    """Figures of each engine and placement, as Markdown."""
    lines = [
        "| engine | placement | direct | through Vaultaire | only fail through us | by decision | without one "
        "| only pass through us |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in compared:
        lines.append(
            f"| {each.engine} | {each.placement} | {counts(each.direct)} | {counts(each.through)} "
            f"| {len(each.only_through_us)} | {len(each.only_through_us) - len(each.unexplained)} "
            f"| {len(each.unexplained)} | {len(each.only_directly)} |"
        )
    return "\n".join(lines)


def details(comparison):
    """What differs, for the terminal."""
    title = f"{comparison.engine}, {comparison.placement}"
    lines = [f"\n{title}: refused by decision"]
    for why, names in comparison.by_decision.items():
        lines += [f"  {why}", *(f"    {name}" for name in names)]
    lines.append(f"{title}: only fails through us, without a decision")
    lines += [f"  {name}\n    {why}" for name, why in comparison.unexplained.items()] or ["  (nothing)"]
    if comparison.passed_the_second_time:
        lines.append(f"{title}: failed once and passed when run again")
        lines += [f"  {name}" for name in comparison.passed_the_second_time]
    return "\n".join(lines) + "\n"


def document(compared, versions):
    """docs/CONFORMANCE.md."""
    parts = [
        "# Conformance",
        "Made by `make conformance S3_TESTS=DIR`, which runs [ceph's s3-tests](https://github.com/ceph/s3-tests)\n"
        "(`test_s3.py` and `test_headers.py`) against an engine directly and against Vaultaire over the same engine.\n"
        "What passes directly must pass through us, but for what is refused by decision\n"
        "(`e2e/conformance/by-decision.txt`). What cannot run at all is in `e2e/conformance/left-out.txt`.",
        versions,
        table(compared),
    ]
    for each in compared:
        parts.append(f"## {each.engine}, {each.placement}")
        parts.append("Refused by decision:" if each.by_decision else "Refused by decision: nothing.")
        parts += [f"- {why}\n" + listed(names) for why, names in each.by_decision.items()]
        if each.unexplained:
            parts.append("Only fails through us, without a decision:\n\n" + listed(each.unexplained, ""))
        else:
            parts.append("Only fails through us, without a decision: nothing.")
        if each.only_directly:
            parts.append("Fails directly and passes through us:\n\n" + listed(each.only_directly, ""))
        if each.passed_the_second_time:
            once = "Failed once through us and passed when run again:"
            parts.append(f"{once}\n\n{listed(each.passed_the_second_time, '')}")
    return "\n\n".join(parts) + "\n"


def listed(names, indent="  "):
    return "\n".join(f"{indent}- `{name}`" for name in names)
