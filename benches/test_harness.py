"""The harness of the race: its sums, its verdicts, its pages."""

import os
import sys
import unittest

import measure
import memory
import race


def result(name, micros, shape="small", tls=False):
    """Three runs of 1,000,025 rows at this many microseconds a row, with a start of 2 s."""
    def usage(cpu_seconds):
        return measure.Usage(cpu_seconds, 20 * measure.MIB, 1.0, "")

    one = race.Competitor(name, None, 1_000_025, shape, tls=tls, one_core="boto3" in name)
    return race.Result(one, [usage(s) for s in (2, 1, 9)], [usage(2 + micros * share) for share in (1, 0.9, 1.2)])


def results(**changed):
    """A race in which every target is just met, but for changes: `Intake_CSV=3`."""
    micros = {"Intake, JSON": 1.5, "Intake, JSON Lines": 1.5, "Intake, CSV": 1.5, "the floor": 0.75,
              "reference decoder + SDK writer, JSON": 6.75, "boto3 batch_writer": 135,
              "the lab's Lambda (boto3 put_item)": 1350} | changed
    found = {(name, "small", False): result(name, cost) for name, cost in micros.items()}
    for name in ("Intake, JSON", "Intake, JSON Lines", "Intake, CSV", "the floor"):
        found[name, "catalog", False] = result(name, micros[name], "catalog")
    found |= {("Intake, JSON", shape, True): result("Intake, JSON", 2, shape, True) for shape in ("small", "catalog")}
    return found


class Sums(unittest.TestCase):
    """What is made of the kernel's figures."""

    def test_the_start_is_taken_off(self):
        self.assertAlmostEqual(race.marginal_micros(3.0, 1.0, 2_000_025), 1.0)
        one = result("x", 4)
        self.assertEqual(one.start_seconds, 2)
        for found, expected in zip(one.micros, (4.0, 3.6, 4.8), strict=True):
            self.assertAlmostEqual(found, expected)
        self.assertAlmostEqual(one.micros_with_start, 6.0, places=3)

    def test_a_process_is_measured_alone(self):
        hog = measure.run([sys.executable, "-c", "b = bytearray(200 << 20); sum(range(2000000))"], {})
        small = measure.run([sys.executable, "-c", "print(1)"], {})
        self.assertGreater(hog.peak_bytes, 200 * measure.MIB)
        self.assertLess(small.peak_bytes, 100 * measure.MIB)
        self.assertGreater(hog.cpu_seconds, small.cpu_seconds)
        self.assertEqual(small.said, "1\n")
        # Less than this process has: the kernel's maximum would be ours.
        self.assertLess(measure.run(["sleep", "0.1"], dict(os.environ)).peak_bytes, 8 * measure.MIB)

    def test_a_failure_ends_it(self):
        with self.assertRaisesRegex(SystemExit, "(?s)exit code 3.*out of luck"):
            measure.run([sys.executable, "-c", "print('out of luck'); exit(3)"], {})

    def test_the_sinks_account_is_read(self):
        self.assertEqual(measure.parsed("PutItem 2 rows 1 requests\nTLS 16 full 0 resumed\n"),
                         {"PutItem": {"rows": 2, "requests": 1}, "TLS": {"full": 16, "resumed": 0}})


class Verdicts(unittest.TestCase):
    """When a target is met."""

    def missed(self, found):
        return [target.promise for target in race.targets(found) if not target.met]

    def test_just_met(self):
        self.assertEqual(self.missed(results()), [])

    def test_each_can_be_missed(self):
        for changed, expected in (
            # Its own target, both floors and the three ratios.
            ({"Intake, JSON": 1.6}, 6),
            ({"Intake, CSV": 1.6}, 2),
            ({"Intake, JSON Lines": 1.6}, 2),
            ({"the floor": 0.7}, 2),
            ({"reference decoder + SDK writer, JSON": 6}, 1),
            ({"boto3 batch_writer": 130}, 1),
            ({"the lab's Lambda (boto3 put_item)": 1300}, 1),
        ):
            with self.subTest(changed):
                self.assertEqual(len(self.missed(results(**changed))), expected)

    def test_what_was_not_measured_is_not_met(self):
        self.assertEqual(len(self.missed({})), len(race.targets({})))
        without_tls = {key: value for key, value in results().items() if not key[2]}
        self.assertEqual(len(self.missed(without_tls)), 2)

    def test_memory(self):
        for peaks, expected in (((60, 64), True), ((60, 65), False), ((20, 40), False), ((40, 20), True)):
            by_size = {size: {"json": (peak * measure.MIB, 1.0)} for size, peak in zip((1.0, 4.0), peaks, strict=True)}
            with self.subTest(peaks):
                self.assertEqual(memory.report(by_size)[1], expected)


class Pages(unittest.TestCase):
    """What is written."""

    def test_a_section_is_replaced_and_nothing_else(self):
        page = "a\n<!-- race:begin -->\nold\n<!-- race:end -->\nb\n"
        written = measure.with_section(page, "race", "new\n")
        self.assertEqual(written, "a\n<!-- race:begin -->\nnew\n<!-- race:end -->\nb\n")
        self.assertEqual(measure.with_section(written, "race", "new\n"), written)
        for broken in ("", page + page, "<!-- race:end --><!-- race:begin -->"):
            with self.assertRaises(ValueError):
                measure.with_section(broken, "race", "new")

    def test_tables(self):
        text = race.report(results(), race.targets(results()), ["A note."], {"Commit": "abc"}, "16 of 16")
        self.assertIn("| boto3 batch_writer | 1,000,025 | 137.00 | 2.00 | 137 | 135 | 122–162 | 7,407 | 20 | 90.0 × |", text)
        self.assertIn("| Intake, JSON, catalog rows | 1.50 | 2.00 | 1.80–2.40 | 500,000 | 0.50 |", text)
        self.assertIn("| boto3 batch_writer over Intake, small rows | at least 90 × | 90.00 × | met |", text)
        # 0.06 vCPU, 0.27 vCPU; 5.4 vCPU, which one core is not.
        self.assertIn("| Intake, JSON | 1.5 | 128 MB | $0.00003 |", text)
        self.assertIn("| boto3 batch_writer | 135.0 | none | $0.00311 |", text)
        self.assertIn("| reference decoder + SDK writer, JSON | 6.8 | 478 MB | $0.00016 |", text)
        self.assertIn("A note.", text)


if __name__ == "__main__":
    unittest.main()
