A packet that comes alone has a shorter way: less of its turn is done before it leaves, and its acknowledgement no longer goes before the answer. An idle round trip over a fast cable takes 0.7 to 1.0 ms where it took 1.6.
Small packets of many flows leave together: of 100,000 a second, in turn of 10,000 flows, 96,000 arrive where it was 62,000.
Small packets of many flows are opened together, whatever flows they are of: a packet of another flow than the one before costs the receiver's data plane 0.55 microseconds where it was 4.5.
