"""What Prometheus reads."""

from __future__ import annotations

import re
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from morphnet.config.upload import UploadConfig
from morphnet.ops.metrics import exposition
from morphnet.roles.upload.node import UploadNode

LINE = re.compile(r'morphnet_[a-z_]+\{role="upload",name="[^\n]*"\} -?[0-9]+')


class MetricsTests(SynchronousTestCase):
    def test_text(self) -> None:
        """Counters and levels, each with its type; every line is as the format has it."""
        node = UploadNode(UploadConfig(), lambda: {"uploads_running": 2, "uploads_begun": 3}, now=lambda: 1.0)
        node.redis_is("gone")
        status = node.status()
        said = exposition(status, status.started_at + 5).splitlines()
        for line in (
            "# HELP morphnet_uploads_begun_total uploads that slots were used for",
            "# TYPE morphnet_uploads_begun_total counter",
            'morphnet_uploads_begun_total{role="upload",name="upload"} 3',
            'morphnet_uploads_running{role="upload",name="upload"} 2',
            'morphnet_up_seconds{role="upload",name="upload"} 5',
            'morphnet_warnings{role="upload",name="upload"} 1',
        ):
            self.assertIn(line, said)
        hostile = exposition(replace(status, name='a"}\n\\'), 0.0).splitlines()
        for line in (*said, *hostile):
            self.assertTrue(line.startswith("# ") or LINE.fullmatch(line), line)
