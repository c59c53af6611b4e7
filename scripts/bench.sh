#!/usr/bin/env bash
# Measures, side by side in one run on this machine. Figures in the documents come from here.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo bench --bench coupon_path
cargo bench --bench load_client
cargo bench --bench dashboard
