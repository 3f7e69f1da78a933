"""The tools that make traffic in a box: their sums alone, then the tools over a real wire."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from twisted.trial.unittest import SynchronousTestCase

from morphnet.lab import ping, udpload
from morphnet.lab.box import ENTER, ROOT, environment
from morphnet.lab.enter import why_not
from tests.lab.two_boxes import TwoBoxes, cannot, lines


class PingTallyTests(SynchronousTestCase):
    def tally(self, answers: dict[int, float], sent: int = 10) -> ping.Tally:
        """Echoes sent at 0.0, 0.1, ..; `answers` maps a number to its moment."""
        tally = ping.Tally(0.0)
        for number in range(sent):
            tally.sent(number / 10)
        for number, at in sorted(answers.items(), key=lambda answer: answer[1]):
            tally.answer(number, at)
        return tally

    def test_losses_are_told_as_runs(self) -> None:
        """Neighbouring losses are one run with the time of its first."""
        tally = self.tally({number: number / 10 + 0.01 for number in (0, 1, 5, 6, 7)})
        self.assertEqual(tally.losses(), [(2, 4, 0.2), (8, 9, 0.8)])

    def test_silence_at_the_end_counts(self) -> None:
        """The longest gap may be the one that was never closed."""
        tally = self.tally({0: 0.01, 1: 0.11})
        self.assertAlmostEqual(tally.final()["longest_gap_ms"], 790)

    def test_second_answer_is_a_duplicate(self) -> None:
        """It counts as nothing else."""
        tally = self.tally({0: 0.01})
        tally.answer(0, 0.02)
        self.assertEqual((tally.received, tally.duplicates), (1, 1))

    def test_young_echoes_are_not_yet_lost(self) -> None:
        """An echo is `lost_so_far` a second after it was sent."""
        tally = self.tally({})
        self.assertEqual(tally.progress(1.45)["lost_so_far"], 5)

    def test_checksum(self) -> None:
        """The example of RFC 1071 section 3."""
        self.assertEqual(ping.checksum(bytes.fromhex("0001f203f4f5f6f7")), ~0xDDF2 & 0xFFFF)


class UdpFlowTests(SynchronousTestCase):
    rootless = False  # nothing of it depends on who one is
    alone = True

    def test_order_loss_and_duplicates(self) -> None:
        """A late one tells how many overtook it, a second one is a duplicate, END tells the missing tail."""
        flow = udpload.Flow()
        self.assertEqual([flow.add(number) for number in (0, 2, 3, 1, 3)], [0, 0, 0, 2, None])
        self.assertEqual(flow.lost(), 0)
        flow.sent = 6
        self.assertEqual(flow.lost(), 2)

    def test_foreign_datagrams_are_ignored(self) -> None:
        """What does not begin with our magic counts nowhere."""
        tally = udpload.Tally()
        tally.add(b"x" * 100, 0)
        tally.add(b"", 0)
        self.assertEqual(tally.told()["received"], 0)


class TrafficTests(SynchronousTestCase):
    rootless = False  # nothing of it depends on who one is
    alone = True
    skip = cannot()

    def setUp(self) -> None:
        self.boxes = TwoBoxes({"delay": 0.005}, {"delay": 0.005})
        self.addCleanup(self.boxes.close)

    def serve(self) -> None:
        server = self.boxes.start_tool(1, "transfer", "serve", "--port", "5000")
        assert server.stdout is not None
        self.assertEqual(server.stdout.readline(), '{"listening": 5000}\n')

    def test_tcp_fills_the_rate(self) -> None:
        """Both directions reach the rate, within 5 % of what headers leave of it."""
        self.serve()
        self.boxes.wire.both(rate=20e6)
        for words in ((), ("--upload",)):
            final = self.boxes.tool(0, "transfer", "fetch", "10.0.0.2", "5000", "--seconds", "3", *words)[-1]
            self.assertTrue(final["sha256_equal"], final)
            self.assertApproximates(final["mbit_s"], 20 * 1448 / 1500, 1)

    def test_transfer_of_a_size(self) -> None:
        """All bytes arrive in all streams, over IPv6 too, through loss."""
        self.serve()
        self.boxes.wire.both(loss=0.01)
        words = ("--bytes", "1000001", "--streams", "3")
        final = self.boxes.tool(0, "transfer", "fetch", "fd00::2", "5000", *words)[-1]
        self.assertEqual((final["bytes"], final["sha256_equal"], final["resets"]), (1000001, True, 0))
        self.assertEqual(len(final["streams"]), 3)

    def test_broken_transfer_is_told(self) -> None:
        """A stream that stands still counts as a reset, and the exit code says so."""
        self.serve()
        words = ("10.0.0.2", "5000", "--seconds", "20", "--patience", "1")
        client = self.boxes.start_tool(0, "transfer", "fetch", *words)
        time.sleep(1)
        self.boxes.wire.black_hole()
        output, _ = client.communicate(timeout=10)
        final = lines(output)[-1]
        self.assertEqual((client.returncode, final["resets"], final["sha256_equal"]), (1, 1, False))

    def test_udp_is_counted(self) -> None:
        """Every datagram is received, lost or both sides would disagree; loss, order and rate are told."""
        self.boxes.wire.set(there={"loss": 0.05, "reorder": 0.01, "delay": 0.02})
        receiver = self.boxes.start_tool(1, "udpload", "receive", "--port", "6000")
        assert receiver.stdout is not None
        receiver.stdout.readline()
        words = ("10.0.0.2", "6000", "--rate", "8e6", "--size", "1000", "--seconds", "2", "--flows", "3")
        sent = self.boxes.tool(0, "udpload", "send", *words)[-1]
        output, _ = receiver.communicate(timeout=10)
        final = lines(output)[-1]
        self.assertEqual(sent["sent"], 2000)
        self.assertEqual(final["received"] + final["lost"], 2000)
        self.assertTrue(50 < final["lost"] < 160, final)
        self.assertTrue(20 < final["reordered"] < 400, final)
        self.assertApproximates(final["goodput_mbit_s"], 7.6, 0.3)
        self.assertApproximates(final["delay_ms"]["p50"], 21, 1)

    def test_ping_tells_an_outage(self) -> None:
        """The longest gap and the run of losses are the outage; SIGTERM brings the final line."""
        process = self.boxes.start_tool(0, "ping", "10.0.0.2", "--seconds", "60", "--every", "0.2", "--grace", "0.3")
        assert process.stdout is not None
        process.stdout.readline()
        self.boxes.wire.black_hole("there")
        time.sleep(0.5)
        self.boxes.wire.heal()
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=5)
        final = lines(output)[-1]
        self.assertTrue(final["final"])
        self.assertTrue(490 < final["longest_gap_ms"] < 650, final)
        self.assertTrue(45 <= final["lost"] <= 60, final)
        self.assertTrue(any(last - first > 40 for first, last, _ in final["losses"]), final)


class FloodTests(SynchronousTestCase):
    rootless = False  # nothing of it depends on who one is
    alone = True
    skip = why_not()

    def test_many_a_call(self) -> None:
        """Many packets in a system call are as many packets; without root a short buffer may drop some."""
        script = (
            "import json, subprocess, sys, time\n"
            "flood = [sys.executable, '-m', 'morphnet.lab.flood']\n"
            "taking = subprocess.Popen([*flood, 'take', '5300'], stdout=subprocess.PIPE, text=True)\n"
            "taking.stdout.readline()\n"
            "words = ['give', '127.0.0.1', '5300', '--size', '300', '--rate', '20000', '--seconds', '0.5']\n"
            "sent = json.loads(subprocess.run([*flood, *words], capture_output=True, text=True).stdout)['sent']\n"
            "time.sleep(0.5)\n"
            "taking.kill()\n"
            "print(sent, json.loads(taking.communicate()[0].splitlines()[-1])['taken'])\n"
        )
        command = [*ENTER, "--", sys.executable, "-c", script]
        done = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=30)
        sent, taken = map(int, done.stdout.split())
        self.assertGreater(sent, 1000)
        self.assertTrue(0.9 * sent <= taken <= sent, f"{taken} of {sent}")
