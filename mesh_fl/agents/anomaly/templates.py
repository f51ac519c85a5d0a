"""Log lines as templates: `masked` for one line, `TemplateMiner` for a stream of them."""

from mesh_fl.agents.anomaly.templates_masking import masked
from mesh_fl.agents.anomaly.templates_miner import LineAlarm, MinerState, TemplateMiner

__all__ = ["LineAlarm", "MinerState", "TemplateMiner", "masked"]
