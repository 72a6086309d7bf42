import java.net.CookieManager;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An agent desktop on Java's HttpClient with its default settings: it prefers HTTP/2 and therefore offers the upgrade
 * to h2c in its first request on each connection. Prints a line for each response: step, HTTP version, status, body.
 */
public final class HttpClientDesktop {
    private static final String HANDSHAKE =
        "[{\"channel\":\"/meta/handshake\",\"version\":\"1.0\",\"supportedConnectionTypes\":[\"%s\"]}]";
    private static final String STATS =
        "{\"operationName\":\"RequestAgentStats\",\"workbinType\":\"Place\",\"workbinOwner\":\"Place1\"}";

    private final String url;
    private final HttpClient http = HttpClient.newBuilder().cookieHandler(new CookieManager()).build();

    private HttpClientDesktop(String url) {
        this.url = url;
    }

    public static void main(String[] arguments) throws Exception {
        HttpClientDesktop desktop = new HttpClientDesktop(arguments[0]);
        desktop.post("unmatched", "/api/v2/nowhere", "{}");
        desktop.useLongPolling();
        desktop.useWebSocket();
    }

    private void useLongPolling() throws Exception {
        String id = clientId(post("handshake", "/api/v2/notifications", String.format(HANDSHAKE, "long-polling")));
        post("subscribe", "/api/v2/notifications", "[{\"channel\":\"/meta/subscribe\","
            + "\"subscription\":\"/v2/me/workbins\",\"clientId\":\"" + id + "\"}]");
        String connect = "[{\"channel\":\"/meta/connect\",\"connectionType\":\"long-polling\",\"clientId\":\""
            + id + "\"%s}]";
        post("connect", "/api/v2/notifications", String.format(connect, ",\"advice\":{\"timeout\":0}"));
        CompletableFuture<String> poll = send("/api/v2/notifications", String.format(connect, ""));
        post("stats", "/api/v2/workbins", STATS);
        System.out.println("poll " + poll.get(30, TimeUnit.SECONDS));
        String get = http.sendAsync(request("/api/v2/me").GET().build(), BodyHandlers.ofString())
            .thenApply(response -> response.version() + " " + response.statusCode()).get(30, TimeUnit.SECONDS);
        System.out.println("get " + get);
    }

    private void useWebSocket() throws Exception {
        CompletableFuture<String> received = new CompletableFuture<>();
        WebSocket socket = http.newWebSocketBuilder().buildAsync(
            URI.create(url.replaceFirst("^http", "ws") + "/api/v2/notifications"),
            new WebSocket.Listener() {
                @Override
                public CompletionStage<?> onText(WebSocket from, CharSequence text, boolean last) {
                    received.complete(text.toString());
                    return null;
                }
            }).get(30, TimeUnit.SECONDS);
        socket.request(1);
        socket.sendText(String.format(HANDSHAKE, "websocket"), true);
        System.out.println("websocket " + received.get(30, TimeUnit.SECONDS));
        socket.abort();
    }

    private String post(String step, String path, String body) throws Exception {
        String response = send(path, body).get(30, TimeUnit.SECONDS);
        System.out.println(step + " " + response);
        return response;
    }

    private CompletableFuture<String> send(String path, String body) {
        HttpRequest request = request(path).header("Content-Type", "application/json")
            .POST(BodyPublishers.ofString(body)).build();
        return http.sendAsync(request, BodyHandlers.ofString())
            .thenApply(response -> response.version() + " " + response.statusCode() + " " + response.body());
    }

    private HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(url + path)).timeout(Duration.ofSeconds(30));
    }

    private static String clientId(String response) {
        Matcher found = Pattern.compile("\"clientId\":\"([^\"]+)\"").matcher(response);
        if (!found.find()) {
            throw new IllegalStateException("no clientId in " + response);
        }
        return found.group(1);
    }
}
