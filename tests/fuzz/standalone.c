/* Runs a fuzz target once on each file of a directory: replays a corpus without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    size_t len = fread(data, 1, sizeof data, file);
    fclose(file);
    /* A copy of exact size lets the sanitizers see reads behind its end. */
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (copy == NULL)
        return -1;
    memcpy(copy, data, len);
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
    return 0;
}

int main(int argc, char **argv)
{
    DIR *dir = argc > 1 ? opendir(argv[1]) : NULL;
    size_t n = 0;
    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    if (dir == NULL) {
        puts("no corpus");
        return 0;
    }
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        int len = snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (len < 0 || (size_t)len >= sizeof path || run_file(path) < 0)
            return 1;
        n++;
    }
    closedir(dir);
    printf("%zu inputs\n", n);
    return 0;
}
