"""What the comparison calls a failure of ours, on outcomes that are made up; run by `make test`."""

import pathlib
import tempfile
import unittest

import report
import suite
from suite import FAILED, PASSED, SKIPPED, Outcome

RESULTS = """<testsuites><testsuite>
<testcase classname="s3tests.functional.test_s3" name="test_good"/>
<testcase classname="s3tests.functional.test_s3" name="test_bad"><failure message="assert 501 == 200"/></testcase>
<testcase classname="s3tests.functional.test_s3" name="test_late"/>
<testcase classname="s3tests.functional.test_s3" name="test_late"><error message="no vt-abc123-4 there"/></testcase>
<testcase classname="s3tests.functional.test_headers" name="test_none"><skipped message="not set"/></testcase>
</testsuite></testsuites>"""


def compared(direct, through, decided=()):
    """Of {name: state} each."""
    of = lambda states: {name: Outcome(state) for name, state in states.items()}  # noqa: E731
    return report.Comparison("Engine 1.2", "pooled", of(direct), of(through), dict(decided))


class Tests(unittest.TestCase):
    def test_outcomes_are_read(self):
        with tempfile.TemporaryDirectory() as folder:
            results = pathlib.Path(folder) / "results.xml"
            results.write_text(RESULTS)
            found = suite.outcomes(results)
        self.assertEqual(found["test_s3::test_good"], Outcome(PASSED))
        self.assertEqual(found["test_s3::test_bad"], Outcome(FAILED, "assert 501 == 200"))
        self.assertEqual(found["test_s3::test_late"], Outcome(FAILED, "no BUCKET there"))
        self.assertEqual(found["test_headers::test_none"].state, SKIPPED)

    def test_a_run_that_met_the_limit_of_buckets_says_nothing(self):
        refused = {"m::a": Outcome(FAILED, "An error occurred (NotImplemented)")}
        self.assertEqual(suite.trusted(refused), refused)
        full = {**refused, "m::b": Outcome(FAILED, "An error occurred (TooManyBuckets) when calling CreateBucket")}
        self.assertRaises(RuntimeError, suite.trusted, full)

    def test_only_what_passes_directly_can_fail_through_us(self):
        direct = {"passes": PASSED, "fails": FAILED, "late": FAILED, "lost": PASSED, "gone": PASSED, "skips": SKIPPED}
        through = {"passes": PASSED, "fails": FAILED, "late": PASSED, "lost": FAILED, "skips": FAILED}
        found = compared(direct, through)
        self.assertEqual(list(found.only_through_us), ["gone", "lost"])
        self.assertEqual(list(found.unexplained), ["gone", "lost"])
        self.assertEqual(found.only_directly, ["late"])

    def test_what_passes_directly_and_is_skipped_through_us_is_lost(self):
        self.assertEqual(list(compared({"t": PASSED}, {"t": SKIPPED}).unexplained), ["t"])

    def test_a_decision_explains_its_own_pattern_placement_and_engine_alone(self):
        passing, failing = ({f"m::{name}": state for name in "abcde"} for state in (PASSED, FAILED))
        decided = {"m::a": "why", "pooled:m::b": "in one pool", "dedicated:m::c": "not here"}
        decided |= {"engine:m::d": "of this engine", "other:m::e": "of another"}
        found = compared(passing, failing, decided)
        self.assertEqual(found.by_decision, {"why": ["m::a"], "in one pool": ["m::b"], "of this engine": ["m::d"]})
        self.assertEqual(list(found.unexplained), ["m::c", "m::e"])
        self.assertIn("| 5 | 3 | 2 |", report.table([found]))

    def test_a_decision_needs_a_reason(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "by-decision.txt"
            file.write_text("# comment\n\nm::a\twhy\n")
            self.assertEqual(report.read_patterns(file), {"m::a": "why"})
            for bad in ("m::a", "m::a\t ", "m::a why"):
                file.write_text(bad)
                self.assertRaises(RuntimeError, report.read_patterns, file)

    def test_the_projects_own_lists_can_be_read(self):
        for name in ("by-decision.txt", "left-out.txt"):
            self.assertTrue(report.read_patterns(pathlib.Path(__file__).parent / name))


if __name__ == "__main__":
    unittest.main()
