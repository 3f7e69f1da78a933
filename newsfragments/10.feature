A server and a relay have their turn before other programs on the machine (nice -15, where they may): forty clients that send at once to a server on the same two processors carry 3.1 Gbit/s together, where it was 0.06.
A wide uplink that is far away adds up with a narrow one that is near within two seconds, where it took one TCP stream eight.
One TCP connection over an uplink of 100 ms that loses 1 % keeps most of its rate: what is lost is told and sent again sooner, and twice.
