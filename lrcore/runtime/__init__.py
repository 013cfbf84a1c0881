"""What a program needs to run for days and lose nothing: files that are whole or absent (`files`) and say when they are
damaged (`tensor_files`), `locks`, stopping (`interruption`), `progress` and `heartbeat`, `seeds`, work done `ahead`,
several processes as one (`distributed`), what a processor is fast at (`matrix_products`, `bfloat16`), and on
what something was computed (`numerical_path`).

May import: `lrcore.errors`. Start with `files`, `interruption` and `distributed`.
"""
