"""`planner:`, the embedded rule-based model: it reads a question on flags, looks, searches, doubts and answers.

- `policy`: the chat model around it all; `tasks`: screening, planned turns, proposals; `judge`: rules for answers
- `dialogue`: what was done and what came back; `reading`: what a question asks, and of which thing
- `eyes`: what stands out in a picture; `scene`: which of it a question means
- `request`: a request as it is taken in; `next_action`: the next turn; `answers`: what it takes for the answer
- `errors`: what goes wrong, and how often; `chance`: seeded, with a temperature
- `famous`: the flags that it knows by heart; `knowledge`: the facts; `phrases`: how thoughts are put
"""
