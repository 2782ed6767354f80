"""PPO for language models with adapters: a `PPOTrainer` with a `PPOConfig`, on today's transformers and PEFT."""

from galileu_pipeline.training.ppo.answer_log import ANSWERS_NAME
from galileu_pipeline.training.ppo.config import PPOConfig
from galileu_pipeline.training.ppo.experience import SampledAnswer
from galileu_pipeline.training.ppo.networks import ValueModel
from galileu_pipeline.training.ppo.rewards import RewardFunction
from galileu_pipeline.training.ppo.trainer import PPOTrainer

__all__ = ["ANSWERS_NAME", "PPOConfig", "PPOTrainer", "RewardFunction", "SampledAnswer", "ValueModel"]
