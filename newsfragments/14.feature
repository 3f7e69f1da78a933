The wire between a home and its coordinator: registration by UDP with stateless cookies and a Noise handshake, replay-proof; calls of browsers that survive loss.
