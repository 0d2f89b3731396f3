"""What a rollout is paid, for TRL and verl alike: a sum of weighed terms, each one a file here or somebody's plug-in.

- `terms`: what a term is and sees, the open set of them, and their sum; `accuracy`, `format`, `cost`: ours
- `outcomes`: what an answer is paid as, by the rules and the judge, and where there is none
- `scoring`: rewards and metrics of a batch; `gog_train.verl` pays its rollouts by the same

Source: Glance-or-Gaze, arXiv 2601.13942, stage 2; what `format` asks for is ours (design section 11).
"""
