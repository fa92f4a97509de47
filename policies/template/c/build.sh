#!/bin/sh
# Just the code: no library, no start, and a stack of 16 KiB. Needs clang and lld.
set -eu
cd "$(dirname "$0")"
clang --target=wasm32 -std=c11 -Oz -Wall -Wextra -Werror -nostdlib -ffreestanding \
    -Wl,--no-entry -Wl,--export=__guest_call -Wl,-zstack-size=16384 -Wl,--strip-all \
    @CRATE@.c -o @CRATE@.wasm
echo "@CRATE@.wasm: $(wc -c < @CRATE@.wasm) bytes"
