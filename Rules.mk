# SPDX-License-Identifier: LGPL-2.1-only
# What every Makefile of the tree shares. TOP is set before the include.

-include $(TOP)/config.mk
ifeq ($(PACKAGE_VERSION),)
ifeq ($(filter clean distclean dist,$(MAKECMDGOALS)),)
$(error run ./configure first)
endif
endif

WARN = -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes \
       -Wformat=2 -Wvla $(WERROR)
CFLAGS ?= $(CONFIGURED_CFLAGS)
LDFLAGS ?= $(CONFIGURED_LDFLAGS)

# 0x041400 is the newest API version that all supported releases know.
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DLIBXL_API_VERSION=0x041400 \
    -DPACKAGE_VERSION='"$(PACKAGE_VERSION)"' -fvisibility=hidden -fPIC \
    -MMD -MP $(WARN) $(SANITIZE) \
    -I$(TOP)/tools/common -I$(TOP)/tools/idl -I$(TOP)/tools/libxl \
    -I$(TOP)/tools/libxlu $(XEN_CFLAGS) $(YAJL_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(SANITIZE) $(LDFLAGS)

LIBXL_DIR = $(TOP)/tools/libxl
LIBXLU_DIR = $(TOP)/tools/libxlu
GENTYPES = $(TOP)/tools/idl/gentypes.py
GENTYPES_DEPS = $(wildcard $(TOP)/tools/idl/*.py)

guarddir = $(libexecdir)/xen-snapshot

# 4.17 of 4.17.0: libxl keeps its ABI within a release.
XEN_RELEASE = $(shell echo $(XEN_VERSION) | cut -d. -f1-2)

%.o: %.c
	$(CC) $(ALL_CFLAGS) $(CFLAGS_$(notdir $@)) -c -o $@ $<

INSTALL = install
INSTALL_DIR = $(INSTALL) -d -m 0755
INSTALL_DATA = $(INSTALL) -m 0644
INSTALL_PROG = $(INSTALL) -m 0755
