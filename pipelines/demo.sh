#!/usr/bin/env bash
# The story of corpuskit in separate commands: raw archives in, bits per byte out.
# The same chain as demo.toml; run it from anywhere:  pipelines/demo.sh [FOLDER]
set -euo pipefail
out=${1:-data/demo-by-hand}

# 1. Raw archives: a MediaWiki export and a WARC, made of what every Python carries. No network.
corpuskit download sample "$out/raw"

# 2. Text out of pages and records. What is no document is dropped with its reason, what is broken kept aside.
corpuskit extract "$out/raw" "$out/docs"

# 3. Repair the text; drop what reads badly (Gopher's rules).
corpuskit clean "$out/docs" "$out/clean" --preset gopher --threshold alpha_words=0.5

# 4. One of each cluster of duplicates: exact ones first, then MinHash, verified.
corpuskit dedup "$out/clean" "$out/dedup"
corpuskit show "$out/dedup" --dropped --rows 1

# 5. A vocabulary learned from the text, and the text in its ids.
corpuskit train tokenizer "$out/dedup" "$out/tokenizer" --vocab-size 4096
corpuskit tokenize "$out/dedup" "$out/tokens" --tokenizer "$out/tokenizer"

# 6. Shuffled blocks of one length; some documents are held out as a whole.
corpuskit shard "$out/tokens" "$out/blocks" --block-tokens 256 --valid-fraction 0.03

# 7. Two models of the same shards.
corpuskit train ngram "$out/blocks" "$out/ngram" --order 5
corpuskit train transformer "$out/blocks" "$out/transformer" --size tiny --steps 1300

# 8. The verdict, on documents that neither has seen.
corpuskit evaluate "$out/ngram" "$out/blocks"
corpuskit evaluate "$out/transformer" "$out/blocks"

# Nothing was lost on the way, and nothing has changed since.
corpuskit verify "$out"
