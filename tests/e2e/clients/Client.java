// What test_interop.py asks of every client, said by JSch.
import com.jcraft.jsch.ChannelExec;
import com.jcraft.jsch.JSch;
import com.jcraft.jsch.JSchException;
import com.jcraft.jsch.Session;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Arrays;

public class Client {
    static Session session;

    static ChannelExec open(String command, OutputStream err) throws Exception {
        ChannelExec channel = (ChannelExec) session.openChannel("exec");
        channel.setCommand(command);
        channel.setErrStream(err);
        return channel;
    }

    static String readAll(InputStream in) throws Exception {
        return new String(in.readAllBytes(), "UTF-8").trim();
    }

    static int finish(ChannelExec channel) throws Exception {
        while (!channel.isClosed())
            Thread.sleep(10);
        channel.disconnect();
        return channel.getExitStatus();
    }

    public static void main(String[] args) throws Exception {
        JSch jsch = new JSch();
        jsch.addIdentity(args[2]);
        session = jsch.getSession(args[1], "127.0.0.1", Integer.parseInt(args[0]));
        session.setConfig("StrictHostKeyChecking", "no");
        session.connect(60000);

        ByteArrayOutputStream err = new ByteArrayOutputStream();
        ChannelExec channel = open("echo out; echo err >&2; exit 7", err);
        InputStream in = channel.getInputStream();
        channel.connect();
        String out = readAll(in);
        int code = finish(channel);
        System.out.println("exec " + out + " " + err.toString().trim() + " " + code);

        channel = open("sha256sum", err);
        in = channel.getInputStream();
        OutputStream to = channel.getOutputStream();
        channel.connect();
        byte[] input = new byte[1 << 20];
        Arrays.fill(input, (byte) 'x');
        to.write(input);
        to.close();
        out = readAll(in);
        System.out.println("stdin " + out.substring(0, 64) + " " + finish(channel));

        ChannelExec[] all = new ChannelExec[5];
        InputStream[] ins = new InputStream[5];
        OutputStream[] outs = new OutputStream[5];
        for (int i = 0; i < 5; i++) {
            all[i] = open("cat; exit " + i, err);
            ins[i] = all[i].getInputStream();
            outs[i] = all[i].getOutputStream();
            all[i].connect();
        }
        String line = "channels";
        for (int i = 4; i >= 0; i--) {
            outs[i].write(("n" + i).getBytes());
            outs[i].close();
            line += " " + readAll(ins[i]) + "=" + finish(all[i]);
        }
        System.out.println(line);

        try {
            session.setPortForwardingR(0, "127.0.0.1", 22);
            throw new RuntimeException("not refused");
        } catch (JSchException refused) {
            // as it should be
        }
        channel = open("echo alive", err);
        channel.setAgentForwarding(true);
        in = channel.getInputStream();
        channel.connect();
        System.out.println("refused, " + readAll(in));
        finish(channel);
        session.disconnect();
    }
}
