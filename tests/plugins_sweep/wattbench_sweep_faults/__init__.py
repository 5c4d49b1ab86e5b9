"""A backend whose memory is small and shared: a third-party package as wattbench sees one."""
