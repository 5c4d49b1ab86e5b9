"""Backends and samplers that fail on purpose: a third-party package as wattbench sees one."""
