"""Verdict, behaviour and payment of a trajectory in words."""

from collections import Counter

from gog.schemas import Method, Trajectory, Verdict


def behaviour_words(trajectory: Trajectory) -> str:
    """How it searched: "mixed, reflective"."""
    return f"{trajectory.behaviour}, reflective" if trajectory.reflective else str(trajectory.behaviour)


def judgement_of(verdict: Verdict) -> str:
    """What verification says besides the outcome."""
    phrases = [] if verdict.method is Method.NONE else [f"settled by {verdict.method}"]
    if verdict.method is Method.JUDGE and verdict.judge:
        phrases[0] += f" ({verdict.judge})"
    phrases += _disagreement(verdict)
    if verdict.grounded is not None:
        where = "word for word in the evidence" if verdict.literal else "in the evidence"
        phrases.append(f"grounded {where}" if verdict.grounded else "not grounded")
    if verdict.gaze_useful is not None:
        phrases.append("the gaze found the target" if verdict.gaze_useful else "no gaze found the target")
    phrases += {True: ["leaked"], False: [], None: ["nobody could say whether it leaked"]}[verdict.leaked]
    leaves = [f"leaves for {', '.join(verdict.reasons)}"] if verdict.reasons else []
    return "; ".join(filter(None, [", ".join(phrases), *leaves]))


def payment_of(trajectory: Trajectory) -> str:
    """What a training paid for its rollout, and at which step; empty of others."""
    training = trajectory.training
    if training is None:
        return ""
    terms = ", ".join(f"{name} {value:.3g}" for name, value in training.terms.items() if value is not None)
    paid = f"masked ({training.masked})" if training.reward is None else f"paid {training.reward:.3g} ({terms})"
    advantage = "" if training.advantage is None else f", advantage {training.advantage:.3g}"
    drawn = f", batch {training.draw} of those drawn anew" if training.draw else ""
    return f"step {training.step}{drawn}: {paid}{advantage}"


def _disagreement(verdict: Verdict) -> list[str]:
    """Where judges of a panel said different things: how many said which."""
    phrases = []
    for about in dict.fromkeys(vote.about for vote in verdict.votes):
        said = Counter(vote.says for vote in verdict.votes if vote.about == about)
        if len(said) > 1:
            counts = ", ".join(f"{number} {says}" for says, number in sorted(said.items(), reverse=True))
            phrases.append(f"the judges disagree on the {about} ({counts})")
    return phrases
