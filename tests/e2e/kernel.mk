# SPDX-License-Identifier: Apache-2.0
# The kernel programs with nothing but their loader: kernel.t runs it.
KERNEL_DRIVER := $(B)/tests/bin/kernel_driver
KERNEL_DRIVER_OBJECTS := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/e2e/kernel_*.c)) \
	$(addprefix $(B)/obj/launcher/warden/,kernel.o pins.o admitted.o prove.o sockets.o prove_tls.o tls.o) \
	$(B)/obj/tests/tap/tap.o
TEST_BINS += $(KERNEL_DRIVER)

$(B)/obj/tests/%.o: OUR_CFLAGS += -Itests/tap
$(KERNEL_DRIVER): $(KERNEL_DRIVER_OBJECTS) $(BASE)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -pie -o $@ $^ -lbpf -lseccomp -lcap -lpthread
