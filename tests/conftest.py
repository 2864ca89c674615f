"""Which tests may go to which worker: a file's to one, but each lesson in the browser by itself.
No test writes to a learner's record of progress.
"""

import os

os.environ["PRUNING_LESSONS_PROGRESS"] = "off"  # for kernels and servers that tests start, too


def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadFileScheduling

    class LessonByLesson(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if "tests/browser/" in nodeid else super()._split_scope(nodeid)

    if config.getoption("dist") == "loadfile":
        return LessonByLesson(config, log)
