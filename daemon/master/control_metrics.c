/* `metrics`: what metrics-file has, too, as it is now. */
#include "control.h"
#include "metrics_now.h"

#include <string.h>
#include <sysexits.h>

enum { PART_MAX = IPC_ITEM_MAX / 4 /* of the text: JSON needs more */ };

/* The next whole lines; none of them is as long as that. */
static bool next_part(struct control_client *client, struct json *json)
{
    struct control_cursor *cursor = &client->cursor;
    const char *begin = cursor->text + cursor->at;
    size_t left = cursor->n - cursor->at;
    const char *end = memrchr(begin, '\n', left < PART_MAX ? left : PART_MAX);
    if (end == NULL)
        return false;
    size_t len = (size_t)(end + 1 - begin);
    json_bytes(json, "text", begin, len);
    cursor->at += len;
    return true;
}

void control_on_metrics(struct control_client *client, const struct ipc_msg *msg)
{
    struct control_cursor *cursor = &client->cursor;
    (void)msg;
    cursor->text = metrics_now_text(client->server, &cursor->n);
    if (cursor->text == NULL) {
        control_end(client, EX_OSERR, "the server is out of memory");
        return;
    }
    control_list(client, next_part);
    control_end(client, EX_OK, "%s", "");
}
