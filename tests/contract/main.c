/* SPDX-License-Identifier: MIT */
/*
 * The contract of struct host_ops: `test_host_contract fake` runs it against the fakehost, `real` (the
 * default) against this host's cgroups, with the tests that need a kernel added. 77: no cgroups here.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fakehost.h"
#include "fixture.h"
#include "load.h"

static int open_fake(void)
{
    the_host_is_fake = true;
    the_host = fakehost_new();
    fakehost_info(the_host)->features &= ~(uint32_t)HOST_FEATURE_MEMORY_HIGH; /* as on hybrid */
    the_info = *fakehost_info(the_host);
    return 0;
}

static int open_real(void)
{
    struct err e = ERR_NULL;
    char name[32];
    (void)snprintf(name, sizeof(name), "contract-%d", (int)getpid());
    int r = host_detect(&the_info, &e);
    if (r == 0)
        r = host_open(&the_info, name, NULL, &the_host, &e);
    if (r == 0) {
        printf("# %s, kernel %s, at %s\n", host_layout_name(the_info.layout), the_info.kernel,
               host_base(the_host));
        for (unsigned bit = 0; host_feature_name(bit, NULL); bit++)
            if (*host_feature_name(bit, NULL) && !(the_info.features >> bit & 1))
                printf("# without %s\n", host_feature_name(bit, NULL));
        return 0;
    }
    bool skipped = r == -EOPNOTSUPP || r == -EACCES || r == -EPERM || r == -EROFS;
    printf("# %s: %s\n", skipped ? "SKIP" : "FAIL", e.text);
    return skipped ? 77 : 1;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--load") == 0)
        return load_main(argc, argv);
    bool fake = argc > 1 && strcmp(argv[1], "fake") == 0;
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    int r = fake ? open_fake() : open_real();
    if (r)
        return r;
    (void)fflush(stdout);
    r = _cmocka_run_group_tests("common", common_tests, common_test_count, NULL, NULL);
    if (!fake) {
        r += _cmocka_run_group_tests("kernel", kernel_tests, kernel_test_count, NULL, NULL);
        r += _cmocka_run_group_tests("guard", guard_tests, guard_test_count, NULL, NULL);
    }
    the_host->ops->close(the_host);
    return r ? 1 : 0;
}
