from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from morphnet.net.joining import joined
from morphnet.wire.batch import MAX_BATCH, MAX_SEGMENTS, Departure, Endpoint

ONE, OTHER = Endpoint("192.0.2.1", 1), Endpoint("192.0.2.2", 1)


def departure(to: Endpoint, size: int, count: int = 1, last: int = 0) -> Departure:
    """`count` datagrams of `size` bytes, and one of `last`, if any."""
    return Departure(1, to, bytes(size * count + last), size)


def datagrams(departures: list[Departure]) -> list[tuple[Endpoint, bytes]]:
    """As the kernel cuts them."""
    cut = []
    for each in departures:
        cut += [(each.to, bytes(each.data[at : at + each.size])) for at in range(0, len(each.data), each.size)]
    return cut


class JoinTests(SynchronousTestCase):
    def test_small(self) -> None:
        """Packets of many flows are one send, up to what one takes."""
        found = list(joined([departure(ONE, 100)] * 130))
        self.assertEqual([len(each.data) // 100 for each in found], [64, 64, 2])

    def test_shorter(self) -> None:
        """A shorter one ends a send; a longer one begins another."""
        found = list(joined([departure(ONE, size) for size in (100, 100, 60, 60, 100)]))
        self.assertEqual([(each.size, len(each.data)) for each in found], [(100, 260), (60, 60), (100, 100)])

    def test_shorter_run(self) -> None:
        """Several shorter ones are a send of their own: behind longer ones they would leave as one datagram."""
        given = [departure(ONE, 1400), departure(ONE, 200, 2, last=50)]
        self.assertEqual(datagrams(list(joined(given))), datagrams(given))

    def test_apart(self) -> None:
        """What goes to different places stays apart, and in its order."""
        found = list(joined([departure(to, 100) for to in (ONE, OTHER, OTHER, ONE)]))
        self.assertEqual([each.to for each in found], [ONE, OTHER, ONE])

    @given(
        st.lists(
            st.builds(
                lambda to, size, count, short: departure(to, size, count, min(short, size - 1)),
                st.sampled_from([ONE, OTHER]),
                st.sampled_from([60, 100, 1400, 9000]),
                st.integers(1, 7),
                st.sampled_from([0, 0, 1, 99]),
            ),
            max_size=40,
        )
    )
    def test_same(self, departures: list[Departure]) -> None:
        """Nothing is lost, cut otherwise or overtaken, and no send is more than the kernel takes."""
        found = list(joined(departures))
        self.assertEqual(datagrams(found), datagrams(departures))
        self.assertLessEqual(len(found), len(departures))
        for each in found:
            self.assertLessEqual(len(each.data), min(MAX_BATCH, MAX_SEGMENTS * each.size))
