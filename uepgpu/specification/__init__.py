"""From TOML to descriptions: fields, axes, codes, laws, partitions and workers, for every kind of study."""
