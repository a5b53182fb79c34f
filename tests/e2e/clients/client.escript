#!/usr/bin/env escript
%% What test_interop.py asks of every client, said by Erlang's ssh. The key is in a directory as id_*.
main([Port, User, Dir]) ->
    ok = logger:set_primary_config(level, error),
    ok = ssh:start(),
    {ok, Ssh} = ssh:connect("127.0.0.1", list_to_integer(Port),
                            [{user, User}, {user_dir, Dir}, {silently_accept_hosts, true},
                             {user_interaction, false}, {save_accepted_host, false}]),
    {Out, Err, Code} = finish(Ssh, start(Ssh, "echo out; echo err >&2; exit 7")),
    io:format("exec ~s ~s ~p~n", [Out, Err, Code]),
    Hash = start(Ssh, "sha256sum"),
    ok = ssh_connection:send(Ssh, Hash, binary:copy(<<"x">>, 1 bsl 20)),
    ok = ssh_connection:send_eof(Ssh, Hash),
    {Sum, _, HashCode} = finish(Ssh, Hash),
    io:format("stdin ~s ~p~n", [string:slice(Sum, 0, 64), HashCode]),
    All = [start(Ssh, "cat; exit " ++ integer_to_list(I)) || I <- lists:seq(0, 4)],
    io:format("channels"),
    lists:foreach(fun(I) ->
                          Channel = lists:nth(I + 1, All),
                          ok = ssh_connection:send(Ssh, Channel, "n" ++ integer_to_list(I)),
                          ok = ssh_connection:send_eof(Ssh, Channel),
                          {Said, _, Status} = finish(Ssh, Channel),
                          io:format(" ~s=~p", [Said, Status])
                  end, [4, 3, 2, 1, 0]),
    io:format("~n"),
    {ok, Last} = ssh_connection:session_channel(Ssh, infinity),
    failure = ssh_connection:setenv(Ssh, Last, "NOT_ACCEPTED", "1", infinity),
    success = ssh_connection:exec(Ssh, Last, "echo alive", infinity),
    {Alive, _, 0} = finish(Ssh, Last),
    io:format("refused, ~s~n", [Alive]),
    ssh:close(Ssh).

start(Ssh, Command) ->
    {ok, Channel} = ssh_connection:session_channel(Ssh, infinity),
    success = ssh_connection:exec(Ssh, Channel, Command, infinity),
    Channel.

finish(Ssh, Channel) -> finish(Ssh, Channel, <<>>, <<>>, none).

finish(Ssh, Channel, Out, Err, Code) ->
    receive
        {ssh_cm, Ssh, {data, Channel, 0, Data}} ->
            finish(Ssh, Channel, <<Out/binary, Data/binary>>, Err, Code);
        {ssh_cm, Ssh, {data, Channel, 1, Data}} ->
            finish(Ssh, Channel, Out, <<Err/binary, Data/binary>>, Code);
        {ssh_cm, Ssh, {exit_status, Channel, Status}} ->
            finish(Ssh, Channel, Out, Err, Status);
        {ssh_cm, Ssh, {closed, Channel}} ->
            {string:trim(Out), string:trim(Err), Code};
        {ssh_cm, Ssh, {eof, Channel}} ->
            finish(Ssh, Channel, Out, Err, Code)
    after 60000 -> exit(nothing_comes)
    end.
