"""DPO as a plain TRL script would do it: what `stage_overhead.py` compares the pipeline with.

python benchmarks/plain_dpo.py '{"base": ..., "adapter": ..., "dataset": ..., "args": {...}, ...}'
"""

import json
import sys

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

job = json.loads(sys.argv[1])
torch.set_num_threads(job["threads"])
tokenizer = AutoTokenizer.from_pretrained(job["base"])
base = AutoModelForCausalLM.from_pretrained(job["base"], dtype=getattr(torch, job["dtype"]))
model = PeftModel.from_pretrained(base, job["adapter"], is_trainable=True)
train, test = (Dataset.from_parquet(f"{job['dataset']}/{split}.parquet") for split in ("train", "test"))
trainer = DPOTrainer(
    model,
    args=DPOConfig(**job["args"]),
    train_dataset=train,
    eval_dataset=test.select(range(min(job["eval_examples"], len(test)))),
    processing_class=tokenizer,
)
trainer.train()
model.save_pretrained(job["output"], selected_adapters=["default"])
tokenizer.save_pretrained(job["output"])
