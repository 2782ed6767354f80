"""Jobs: named parts of the graph, for the UI, sensors, schedules and the command line."""

import dagster as dg

# Too few pairs to train on is no failure while nothing is trained.
_enough = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("preference_pairs"), "enough_pairs_to_train_on"))
_feedback = (dg.AssetSelection.groups("feedback") | dg.AssetSelection.assets("preference_pairs")) - _enough
_champion = dg.AssetSelection.assets("champion_model").upstream()
_ppo = dg.AssetSelection.assets("ppo_model")

refresh_feedback = dg.define_asset_job(
    "refresh_feedback",
    selection=_feedback,
    description="New feedback in: the warehouse, its analytics, the preference pairs.",
)
train_dpo = dg.define_asset_job(
    "train_dpo",
    selection=_champion - _ppo,
    description="From feedback to a DPO model, compared with the model in service and promoted if it is better.",
)
train_ppo = dg.define_asset_job(
    "train_ppo",
    selection=_champion,
    description="The same with PPO as well.",
)
retrain_all = dg.define_asset_job(
    "retrain_all",
    selection=dg.AssetSelection.all(),
    description="The whole chain, from raw feedback to the model in service. What has not changed is reused.",
)
