"""What trials over several seeds say together: each way to get a model, and which one pays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mesh_fl.quality import Metric
from mesh_fl.simulate.statistics import Mean, Verdict, paired, summarise, verdict
from mesh_fl.simulate.trial import Federated, References

KINDS = ("public", "alone", "federated", "adapted", "pooled")
PAIRS = tuple((model, rival) for model in ("federated", "adapted") for rival in ("alone", "public"))


@dataclass(frozen=True)
class Comparison:
    """Quality of every way to get a model.

    Parameters
    ----------
    quality : dict of str to Mean
        By kind: see `References` and `Federated`.
    differences : dict of str to Mean
        Paired by seed, such as "federated - alone".
    verdict : str
        See `mesh_fl.simulate.statistics.verdict`.
    """

    quality: Mapping[str, Mean]
    differences: Mapping[str, Mean]
    verdict: Verdict

    @classmethod
    def of(
        cls, references: Sequence[References], federated: Sequence[Federated], metric: Metric
    ) -> "Comparison":
        """Summarise trials of the same seeds.

        Raises
        ------
        DataError
            If a figure is not finite.
        """
        found = {
            "public": [one.public for one in references],
            "alone": [one.alone for one in references],
            "federated": [one.federated for one in federated],
            "adapted": [one.adapted for one in federated],
            "pooled": [one.pooled for one in references],
        }
        return cls(
            quality={kind: summarise(values) for kind, values in found.items()},
            differences={
                f"{model} - {rival}": paired(found[model], found[rival]) for model, rival in PAIRS
            },
            verdict=verdict(
                found["public"],
                found["alone"],
                found["federated"],
                found["adapted"],
                metric.higher_is_better,
            ),
        )

    def best(self, metric: Metric) -> str:
        """Return which is better on average: "federated" or "adapted"."""
        return max(("adapted", "federated"), key=lambda kind: metric.sign * self.quality[kind].mean)
