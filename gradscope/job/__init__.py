"""One report for a job of many processes: each rank sums itself up, and the sums are put together in any order.

Nothing in here communicates or imports torch: how the sums travel is for others to say, a run file is one way.
"""

from __future__ import annotations

from gradscope.job.files import merge_files as merge_files
from gradscope.job.merge import Merger as Merger
from gradscope.job.merge import with_job as with_job
from gradscope.job.summary import Summary as Summary
from gradscope.job.summary import decode as decode
from gradscope.job.summary import encode as encode
from gradscope.job.summary import summarize as summarize
