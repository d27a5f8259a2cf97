# shellcheck shell=bash
# Fake nodes: kwok says of their pods whatever a kubelet would say, but runs nothing.
