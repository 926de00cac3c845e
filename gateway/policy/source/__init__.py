"""From the YAML files of a folder to plain values that know where they were written."""
