#!/bin/sh
# Measure what the README says, in an empty folder: 3,000 IMDb reviews, four runs and ten evaluations.
set -e
some="--limit 3000 --split document --train-size 1500 --test-size 300 --quiet"
usual="--set masking.strategy=salient --set masking.options.background=english.json"

python -m mlmref_salient background english.json --language en
python -m mlmref_salient words --limit 3000 --background english.json
mlmref run $some --masking token --output token
mlmref run $some --masking whole-word --mlm-probability 0.15 --corruption 80/10/10 --output whole-word
mlmref run $some $usual --output salient
mlmref run $some --masking salient --output rare
for model in embedded token whole-word salient rare; do
  echo "$model, random tokens"
  mlmref evaluate $model $some --preset tiny --masking token
  echo "$model, salient words"
  mlmref evaluate $model $some --preset tiny $usual --set masking.options.mlm_probability=0.15
done
