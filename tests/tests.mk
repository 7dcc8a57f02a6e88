# SPDX-License-Identifier: Apache-2.0
# Tests are programs that speak TAP; prove runs them and sums up.
#   tests/unit/*.c     pure modules, no privilege, with sanitizers
#   tests/e2e/*.t      the real thing, as root, on this kernel
#   tests/hostile/*.t  ways out, each with its allowed sibling
#   tests/fuzz/*.c     readers of hostile bytes: fuzz.t replays the kept corpus of
#                      each (tests/fuzz/NAME/), then looks for more for a while

UNIT := $(patsubst tests/unit/%.c,$(B)/tests/unit/%.t,$(wildcard tests/unit/*.c))
UNIT_CFLAGS := -std=c17 -D_GNU_SOURCE -Iinclude -Ilauncher -Itests/tap -g -O1 \
	-Wall -Wextra $(WERROR) -fsanitize=address,undefined -fno-sanitize-recover=undefined
PURE := $(filter-out %/main.c,$(call sources,profile) $(call sources,audit)) $(call sources,base)

# Units are linked with everything pure, compiled once more with sanitizers.
$(B)/san/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<
$(B)/tests/unit/%.t: $(B)/san/tests/unit/%.o $(B)/san/tests/tap/tap.o $(patsubst %.c,$(B)/san/%.o,$(PURE))
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) -fsanitize=address,undefined -o $@ $^ -lcyaml -lyaml -lseccomp -lcap -ljansson -lcrypto

# Small C programs that tests run: tests/*/NAME.probe.c → build/tests/bin/NAME
TEST_BINS := $(foreach source,$(wildcard tests/*/*.probe.c),$(B)/tests/bin/$(notdir $(source:.probe.c=)))
define probe_rule
$(B)/tests/bin/$(notdir $(1:.probe.c=)): $(1) $(wildcard include/ambit/*.h tests/*/*.h)
	@mkdir -p $$(@D)
	$$(call say,CC,$(1))
	$(Q)$(CC) -std=c17 -D_GNU_SOURCE -Iinclude -O1 -g -Wall -Wextra $(WERROR) -o $$@ $$< -lpthread
endef
$(foreach source,$(wildcard tests/*/*.probe.c),$(eval $(call probe_rule,$(source))))

include tests/e2e/kernel.mk

FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(wildcard tests/fuzz/*.c))
$(B)/tests/fuzz/%: tests/fuzz/%.c $(wildcard bpf/*.h tests/unit/*.h launcher/porter/dns.*) \
		include/ambit/kernel.h
	@mkdir -p $(@D)
	$(call say,FUZZER,$<)
	$(Q)$(CLANG) -std=c17 -D_GNU_SOURCE -Iinclude -Ilauncher -g -O1 -Wall -Wextra $(WERROR) \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -o $@ $<

check: deps
	@$(MAKE) --no-print-directory all $(UNIT) $(TEST_BINS) $(FUZZERS) lint
	AMBIT_KERNELS=brief prove --merge --timer --failures --comments $(UNIT) \
		$(sort $(wildcard tests/fuzz/*.t tests/e2e/*.t tests/hostile/*.t)) tests/kernels/run

# More tests on Debian's kernels, each booted by qemu, than `make check` runs there.
check-kernels: deps
	@$(MAKE) --no-print-directory all $(TEST_BINS)
	prove --merge --timer --failures --comments tests/kernels/run

lint:
	@bash tests/lint/run

bench: deps
	@$(MAKE) --no-print-directory all $(TEST_BINS)
	@bash tests/bench/run
-include $(shell find $(B)/san -name '*.d' 2>/dev/null)
