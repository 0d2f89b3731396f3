"""`planner:`, the embedded rule-based model: it reads a question on flags, looks, searches, doubts and answers.

eyes       what stands out in a picture               reading    what a question asks, and of which thing
dialogue   what was done and what came back           scene      which thing in the picture is meant
acting     the next turn of an episode                tasks      screening, planned turns, proposals
judge      rules for answers and evidence             voice      how thoughts are put
errors     what goes wrong, and how often             luck       seeded chance with a temperature
knowledge  the little it knows by heart               policy     the chat model around it all
"""

from gog.transforms.services.planner.policy import Planner

__all__ = ["Planner"]
