# One image for every command. It brings its own Node and expects PostgreSQL elsewhere, so the packages
# that carry Node and PostgreSQL for bare machines (the optional ones) stay out.

FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund

FROM node:24-slim
ENV NODE_ENV=production BACKCAST_HOME=/var/lib/backcast
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY . .
RUN install --directory --owner=node --group=node --mode=0700 /var/lib/backcast
USER node
VOLUME /var/lib/backcast
STOPSIGNAL SIGTERM
ENTRYPOINT ["/app/backcast"]
CMD ["--help"]
