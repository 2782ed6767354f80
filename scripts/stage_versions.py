"""Say what a change of a stage's sources does to its results; see CONTRIBUTING.md.

    scripts/stage_versions.py                           # the stages whose sources have changed; exit 1 if any
    scripts/stage_versions.py --same-results dpo_model  # made of them is what was made before: artifacts are kept
    scripts/stage_versions.py --raise dpo_model         # something else: the next materialization makes it anew
    scripts/stage_versions.py --sources dpo_model       # which files count for it

`all` stands for every stage whose sources have changed.
"""

import argparse
import sys

from galileu_pipeline.lineage.stage_sources import changed_stages, mark_same_results, raise_version, source_files
from galileu_pipeline.lineage.stage_versions import VERSIONS_FILE, stage_entries


def main() -> int:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what, names = parser.add_mutually_exclusive_group(), ["all", *stage_entries()]
    what.add_argument("--same-results", nargs="+", metavar="STAGE", choices=names, default=[])
    what.add_argument("--raise", nargs="+", metavar="STAGE", choices=names, default=[], dest="raised")
    what.add_argument("--sources", metavar="STAGE", choices=names[1:])
    arguments = parser.parse_args()
    if arguments.sources:
        print(
            "\n".join([*stage_entries()[arguments.sources].entries, *source_files(stage_entries()[arguments.sources])])
        )
        return 0
    changed = changed_stages(VERSIONS_FILE)
    mark_same_results(VERSIONS_FILE, changed if "all" in arguments.same_results else arguments.same_results)
    raise_version(VERSIONS_FILE, changed if "all" in arguments.raised else arguments.raised)
    left = changed_stages(VERSIONS_FILE)
    for stage in left:
        print(f"{stage}: its sources have changed. Same results, or a higher version?")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
